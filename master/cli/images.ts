import { createReadStream, statSync } from "node:fs";
import { basename } from "node:path";
import { nodes } from "#shared/api/resources.ts";
import { trusting } from "#shared/pki/trusting.ts";
import { adminAccess, UserError } from "./admin-client.ts";

/** `bramble images load`: sends archives to boards, through the API server, one board after another. */
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
  const { ca, certificate, key, serverName } = config.credentials();
  const tls = {
    ...(ca ? trusting(ca) : {}),
    ...(certificate ? { cert: certificate } : {}),
    ...(key ? { key } : {}),
    ...(serverName ? { serverName } : {}),
  };
  for (const board of options.node.length > 0 ? options.node : known) {
    for (const archive of archives) {
      process.stdout.write(`${board}: ${basename(archive)} … `);
      const response = await fetch(`${server}/api/v1/nodes/${board}/proxy/images/load`, {
        method: "POST",
        // A stream: an archive may be larger than this board's memory.
        body: createReadStream(archive) as unknown as BodyInit,
        headers: { "content-type": "application/x-tar" },
        tls,
      });
      const text = await response.text();
      if (!response.ok) throw new UserError(`${board} refused ${archive}: ${text.trim()}`);
      console.log(text.trim() || "done");
    }
  }
}
