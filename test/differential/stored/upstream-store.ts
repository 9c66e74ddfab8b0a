/** Upstream's store: etcd, by its JSON gateway. */
import type { RawStore } from "./seeding.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** `url` of etcd's client port. */
export function upstreamStore(url: string): RawStore {
  const call = async (what: string, body: object): Promise<unknown> => {
    const response = await fetch(`${url}/v3/kv/${what}`, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd: ${response.status} ${await response.text()}`);
    return response.json();
  };
  return {
    async keys() {
      const range = { key: base64("/registry/"), range_end: base64("/registry0"), keys_only: true };
      const { kvs } = (await call("range", range)) as { kvs: { key: string }[] };
      return kvs.map(({ key }) => Buffer.from(key, "base64").toString());
    },
    async put(values) {
      for (const [key, text] of values) await call("put", { key: base64(key), value: base64(text) });
    },
  };
}
