import { stat } from "node:fs/promises";
import { join } from "node:path";
import { methodNotAllowed, StatusError } from "#shared/api/errors.ts";
import { ifPresent } from "#shared/files/if-present.ts";
import type { ApiResponse, RequestContext } from "../apiserver/request.ts";
import type { PathAnswer } from "../apiserver/server-parts.ts";

/** Where boards fetch what install.sh asks for: SHA256SUMS, the binaries, unit files. */
export const distPrefix = "/bramble/v1/dist/";
const installPath = "/install.sh";

/**
 * What this master hands to boards that join: the files of `folder`, open to everybody, since a board has no identity
 * yet. A download that was cut is taken up again by `Range: bytes=N-` (RFC 9110, section 14).
 */
export function distPaths(folder: string): {
  readonly exact: Readonly<Record<string, PathAnswer>>;
  readonly prefixes: Readonly<Record<string, PathAnswer>>;
} {
  return {
    exact: { [installPath]: (context) => serveFile(context, folder, "install.sh") },
    prefixes: { [distPrefix]: (context) => serveFile(context, folder, context.info.path.slice(distPrefix.length)) },
  };
}

async function serveFile({ method, headers }: RequestContext, folder: string, name: string): Promise<ApiResponse> {
  if (method !== "GET" && method !== "HEAD")
    throw methodNotAllowed({ group: "", plural: "dist" }, method.toLowerCase());
  const path = join(folder, name);
  const size_bytes = isFileName(name) ? await fileSize(path) : undefined;
  if (size_bytes === undefined)
    throw new StatusError("NotFound", `this master has no ${JSON.stringify(name)} to hand out`);
  const from = firstByte(headers["range"], size_bytes);
  const common = { "accept-ranges": "bytes", "content-length": String(size_bytes - from) };
  return {
    kind: "bytes",
    code: from > 0 ? 206 : 200,
    contentType: /\.(sh|service)$|^SHA256SUMS$/.test(name) ? "text/plain; charset=utf-8" : "application/octet-stream",
    headers: from > 0 ? { ...common, "content-range": `bytes ${from}-${size_bytes - 1}/${size_bytes}` } : common,
    body: method === "HEAD" ? nothing() : Bun.file(path).slice(from, size_bytes).stream(),
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // The answer to HEAD has no body.
}

/** A plain name: nothing leads out of the folder, and what begins with a dot is not for others. */
function isFileName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name);
}

/** Where an open range begins. Other ranges are answered with the whole file, as RFC 9110 lets a server do. */
function firstByte(range: string | undefined, size_bytes: number): number {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? "0");
  return from < size_bytes ? from : 0;
}

async function fileSize(path: string): Promise<number | undefined> {
  const status = await ifPresent(stat(path));
  return status?.isFile() ? status.size : undefined;
}
