import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Side } from "./play.ts";

const COMPACTED_WITHIN_MS = 3_000;

/** Upstream's server that upstream.sh has started in a folder. */
export function upstreamSide(folder: string): Side {
  const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
  const target = {
    url: read("url"),
    headers: { authorization: `Bearer ${read("token")}` },
    tls: { ca: read("ca.crt") },
  };
  /** etcd's gateway: JSON for its gRPC. */
  const etcd = async (path: string, body: object): Promise<{ header?: { revision?: string } }> => {
    const port = Number(new URL(target.url).port) + 1;
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd: ${response.status} ${await response.text()}`);
    return (await response.json()) as { header?: { revision?: string } };
  };
  return {
    target,
    async compact() {
      // Where its servers tell one another of compactions, which their caches follow.
      const base64 = (text: string): string => Buffer.from(text).toString("base64");
      const { header } = await etcd("/v3/kv/range", { key: "AA==", limit: 1 });
      const revision = Number(header?.revision) + 1;
      await etcd("/v3/kv/put", { key: base64("compact_rev_key"), value: base64(String(revision)) });
      await etcd("/v3/kv/compaction", { revision, physical: true });
      await Bun.sleep(COMPACTED_WITHIN_MS);
    },
    async restart() {
      const script = join(import.meta.dir, "../upstream.sh");
      const { exitCode, stderr } = Bun.spawnSync([script, folder, "restart"]);
      if (exitCode !== 0) throw new Error(`upstream's server did not start anew: ${stderr}`);
    },
  };
}
