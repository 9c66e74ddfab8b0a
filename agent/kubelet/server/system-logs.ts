import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { badRequest } from "#shared/api/errors.ts";
import { errnoOf } from "#shared/files/if-present.ts";

/**
 * `GET /logs/…`: files and folders of the board's /var/log, for whoever may read `nodes/log`. Answers as Go's file server
 * does, which `kubectl get --raw /api/v1/nodes/NAME/proxy/logs/` shows.
 * @param path below /logs, decoded.
 */
export async function serveSystemLogs(root: string, path: string, response: ServerResponse): Promise<void> {
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..") || path.includes("\0")) throw badRequest("invalid URL path");
  const file = join(root, ...segments);
  const info = await stat(file).catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  });
  if (info?.isDirectory()) {
    // Links in a listing are relative to it.
    if (!path.endsWith("/") && path !== "") response.writeHead(301, { location: `${segments.at(-1)}/` }).end();
    else response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(await listing(file));
  } else if (info?.isFile()) {
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
    // What is written meanwhile is for the next reader.
    const end = Math.max(0, info.size - 1);
    if (info.size === 0) response.end();
    else pipeline(createReadStream(file, { end }), response, () => response.end());
  } else {
    response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("404 page not found\n");
  }
}

async function listing(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  const lines = names.map(
    (name) => `<a href="${encodeURIComponent(name).replace(/%2F$/, "/")}">${Bun.escapeHTML(name)}</a>`,
  );
  return `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${lines.join("\n")}\n</pre>\n`;
}
