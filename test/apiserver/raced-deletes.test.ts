/** Deletions that somebody else completes between their two steps: the mark, and the removal. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { pods } from "#shared/api/resources.ts";
import type { AdmissionPlugin } from "../../master/apiserver/admission/admission.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

let server: TestServer;

/** Changes what was marked, if it says so, and removes it before the API server does, as the collector of pods may. */
const quicker: AdmissionPlugin = {
  name: "Quicker",
  resources: [{ group: "", plural: "pods" }],
  async validate({ operation, oldObject }): Promise<void> {
    if (operation !== "DELETE" || !oldObject?.metadata.deletionTimestamp) return;
    const stored = await server.store.get(`/registry/pods/default/${oldObject.metadata.name}`);
    if (!stored) return;
    const isFirst = !stored.value.includes(changed);
    if (oldObject.metadata.name === "changed" && isFirst)
      await server.store.update(stored.key, stored.value.replace("registry.test/main", changed), stored.revision);
    else await server.store.delete(stored.key, stored.revision);
  },
};
const changed = "registry.test/changed";

beforeAll(async () => {
  server = await startTestServer({ guards: () => ({ admission: [quicker] }) });
});
afterAll(() => server.stop());

test.each(["raced", "changed"])(
  "%s: what goes by grace and was removed by another once it was marked is deleted",
  async (name) => {
    const key = { namespace: "default", name };
    const path = `/api/v1/namespaces/default/pods/${name}`;
    const made = await server.client.create(pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: key,
      spec: { containers: [{ name: "main", image: "registry.test/main" }] },
    });
    const answer = await server.fetch(path, { method: "DELETE" });
    const { metadata } = (await answer.json()) as typeof made;
    expect([answer.status, metadata.uid]).toEqual([200, made.metadata.uid]);
    expect(metadata.deletionTimestamp).toBeString();
    expect((await server.fetch(path)).status).toBe(404);
  },
);
