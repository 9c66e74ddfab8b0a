import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { configMaps } from "#shared/api/resources.ts";
import { ConnectionError } from "#shared/client/client.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { patience_s, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(24 * 3_600_000);

/** Few in every run; BRAMBLE_KILL_ROUNDS=1000 for a long look. */
const rounds = Number(process.env["BRAMBLE_KILL_ROUNDS"] ?? 10);
const writers = 8;

describe("a master that is killed while clients write", () => {
  let it: TestCluster;
  beforeAll(async () => {
    it = await startCluster({ name: "kill", workers: 0 });
  });
  afterAll(() => it.stop());

  test(`keeps every acknowledged write and issues no revision twice, ${rounds} times`, async () => {
    const { servers, credentials } = loadKubeconfig(it.kubeconfig);
    const client = new HttpClient({ servers, credentials });
    const master = it.cluster.host("master-1");
    /** What the server said it has: the value by name, and every revision with the write it was given to. */
    const acknowledged = new Map<string, string>();
    const revisions = new Map<string, string>();
    for (let round = 0; round < rounds; round++) {
      let isOver = false;
      let written = 0;
      const writing = Array.from({ length: writers }, async (_, writer) => {
        for (let count = 0; !isOver; count++) {
          const name = `w${writer}-${count % 4}`;
          const value = `${round}.${count}`;
          try {
            const answer = await client.patch(
              configMaps,
              { namespace: "default", name },
              {
                type: "apply",
                force: true,
                body: {
                  apiVersion: "v1",
                  kind: "ConfigMap",
                  metadata: { name, namespace: "default" },
                  data: { value },
                },
              },
              { fieldManager: "test" },
            );
            written++;
            const revision = answer.metadata.resourceVersion ?? "";
            const owner = `${name}=${value}`;
            expect(revisions.get(revision) ?? owner).toBe(owner);
            revisions.set(revision, owner);
            acknowledged.set(name, value);
          } catch (error) {
            if (!(error instanceof ConnectionError)) throw error;
            // Unacknowledged: it may be there or not, so the next look decides what is known of the name.
            acknowledged.delete(name);
            return;
          }
        }
      });
      // In the midst of writes, however long the first ones take on a busy machine.
      await waitFor("writes that are acknowledged", patience_s, () => written > 1 || undefined);
      await Bun.sleep(Math.random() * 400);
      await master.stopBramble("SIGKILL");
      isOver = true;
      await Promise.all(writing);
      master.startBramble();
      await it.until(/ok/, "get", "--raw", "/readyz");
      const { items } = await client.list(configMaps, { namespace: "default" });
      const present = new Map(items.map((item) => [item.metadata.name ?? "", item.data?.["value"]]));
      for (const [name, value] of acknowledged) expect(`${name}=${present.get(name)}`).toBe(`${name}=${value}`);
    }
    expect(revisions.size).toBeGreaterThan(rounds);
  });
});
