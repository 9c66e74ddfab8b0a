import { createReadStream, statSync } from "node:fs";
import { basename } from "node:path";
import { refusalOf } from "#shared/api/refused-answer.ts";
import { nodes } from "#shared/api/resources.ts";
import type { ClientConfig } from "#shared/client/kubeconfig.ts";
import { connectionFault } from "#shared/http/connection-fault.ts";
import { trusting } from "#shared/pki/trusting.ts";
import { adminAccess, UserError } from "./admin-client.ts";

/** `bramble images load`: sends archives to boards, through the API server, one board after another. A board that is away or
 *  refuses keeps no other from its images; it is named in the end. Rejects with UserError. */
export async function loadImages(
  archives: readonly string[],
  options: { readonly kubeconfig: string; readonly node: readonly string[] },
): Promise<void> {
  for (const archive of archives) {
    if (!statSync(archive, { throwIfNoEntry: false })?.isFile()) throw new UserError(`${archive}: no such file`);
  }
  const { client, config, server } = adminAccess(options.kubeconfig);
  const known = (await client.list(nodes)).items.map((node) => node.metadata.name ?? "");
  const unknown = options.node.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new UserError(`no board is named ${unknown.join(", ")}; there are: ${known.join(", ")}`);
  const lacking = new Set<string>();
  for (const board of options.node.length > 0 ? options.node : known) {
    for (const archive of archives) {
      process.stdout.write(`${board}: ${basename(archive)} … `);
      const { loaded, text } = await send(archive, `${server}/api/v1/nodes/${board}/proxy/images/load`, config);
      console.log(loaded ? text || "done" : `FAILED: ${text}`);
      if (!loaded) lacking.add(board);
    }
  }
  if (lacking.size > 0) {
    const again = [...lacking].map((board) => `--node ${board}`).join(" ");
    throw new UserError(`not every board has them: when that is mended, run the same with ${again}`);
  }
}

/** @returns what the board said, or why it was not reached. */
async function send(archive: string, url: string, config: ClientConfig): Promise<{ loaded: boolean; text: string }> {
  const { ca, certificate, key, serverName } = config.credentials();
  const tls = {
    ...(ca ? trusting(ca) : {}),
    ...(certificate ? { cert: certificate } : {}),
    ...(key ? { key } : {}),
    ...(serverName ? { serverName } : {}),
  };
  try {
    const response = await fetch(url, {
      method: "POST",
      // A stream: an archive may be larger than this board's memory.
      body: createReadStream(archive) as unknown as BodyInit,
      headers: { "content-type": "application/x-tar" },
      tls,
    });
    const text = (await response.text()).trim();
    const contentType = response.headers.get("content-type") ?? "";
    if (response.ok) return { loaded: true, text };
    return { loaded: false, text: refusalOf({ code: response.status, body: text, contentType }).message };
  } catch (error) {
    return { loaded: false, text: connectionFault(error as Error, new URL(url).host) };
  }
}
