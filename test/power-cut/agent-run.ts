/**
 * An agent's writes: it joins, keeps pods, Secrets and caches, renews its certificates, loses pods. Notes what it may
 * rely on from then on. Arguments: folder, notes, server, token.
 */
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { writeDefaultCniConfig } from "#agent/network/default-cni-config.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { stderrLog } from "#shared/client/log.ts";
import { cacheName, openAgentImage } from "./agent-image.ts";

const [folder = "", notesPath = "", server = "", token = ""] = process.argv.slice(2);
const notes = openSync(notesPath, "a");
const note = (...words: string[]): void => void writeSync(notes, `${words.join(" ")}\n`);
const log = stderrLog("error");

for (let start = 0; start < 3; start++) {
  const { identity, caches, checkpoint, serial } = await openAgentImage(folder, [server], token, log);
  note("joined", identity.nodeName, serial);
  await writeDefaultCniConfig({ podCIDRs: [`10.42.${start}.0/24`] }, join(folder, "cni"));
  for (let round = 0; round < 6; round++) {
    const tag = `${start}.${round}`;
    const metadata = { namespace: "default", annotations: { tag } };
    const names = [0, 1, 2].map((n) => `o${n}`);
    for (const name of names) for (const kind of ["pods", "secrets"]) note("issue", `${kind}/${name}`, tag);
    await Promise.all(
      names.flatMap((name) => [
        checkpoint.save("pods", name, {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { ...metadata, name, uid: name },
          spec: { containers: [] },
        }),
        checkpoint.save("secrets", name, { apiVersion: "v1", kind: "Secret", metadata: { ...metadata, name } }),
      ]),
    );
    for (const name of names) for (const kind of ["pods", "secrets"]) note("ack", `${kind}/${name}`, tag);
    if (round % 3 === 2) {
      note("issue", "pods/o1", "-");
      await checkpoint.remove("pods", "o1");
      note("ack", "pods/o1", "-");
    }
  }
  note("issue", "caches/services", String(start));
  caches.changed(cacheName, () => [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "s", namespace: "default", annotations: { tag: `${start}` } },
    },
  ]);
  await caches.stop();
  note("ack", "caches/services", String(start));
  const client = new HttpClient({ servers: [server], credentials: identity.credentials });
  await identity.renew(client);
  note("renewed", String(start));
}
process.exit(0);
