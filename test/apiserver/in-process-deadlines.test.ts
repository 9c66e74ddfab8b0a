/** Requests of components in the server's own process have an end, as those that come over a socket. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { configMaps } from "#shared/api/resources.ts";
import type { AdmissionPlugin } from "../../master/apiserver/admission/admission.ts";
import { requestInfoOf } from "../../master/apiserver/http/request-info.ts";
import { usualRequestRules } from "../../master/apiserver/http/request-rules.ts";
import { admin, startTestServer, type TestServer } from "../support/apiserver.ts";

let server: TestServer;
const deadlines_ms: (number | undefined)[] = [];
let overtakes = 0;

/** Somebody who writes whatever is written a moment earlier, each time. */
const quicker: AdmissionPlugin = {
  name: "Quicker",
  resources: [{ group: "", plural: "configmaps" }],
  async validate({ name, operation, limits }): Promise<void> {
    deadlines_ms.push(limits?.deadline_ms);
    if (operation !== "UPDATE") return;
    const stored = await server.store.get(`/registry/configmaps/default/${name}`);
    if (!stored) throw new Error("what is updated is there");
    const data = JSON.stringify({ n: String(++overtakes) });
    await server.store.update(stored.key, stored.value.replace(/"data":\{[^}]*\}/, `"data":${data}`), stored.revision);
  },
};

beforeAll(async () => {
  server = await startTestServer({ guards: () => ({ admission: [quicker] }) });
});
afterAll(() => server.stop());

test("one has a request's usual time, and a write that is always overtaken ends with it", async () => {
  const metadata = { name: "one", namespace: "default" };
  const began_ms = performance.now();
  await server.api
    .client(admin)
    .create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata, data: { n: "0" } });
  const [deadline_ms = Number.POSITIVE_INFINITY] = deadlines_ms;
  expect(deadline_ms).toBeGreaterThanOrEqual(began_ms + usualRequestRules.longest_ms);
  expect(deadline_ms).toBeLessThanOrEqual(performance.now() + usualRequestRules.longest_ms);

  const object = { metadata: { labels: { a: "b" } } };
  const written = server.api.handle(
    {
      method: "PATCH",
      info: requestInfoOf("PATCH", "/api/v1/namespaces/default/configmaps/one", new URLSearchParams()),
      query: new URLSearchParams(),
      headers: { "content-type": "application/merge-patch+json" },
      body: { read: () => ({ kind: "object", object }) },
      signal: new AbortController().signal,
      deadline_ms: performance.now(),
      warnings: [],
      isInProcess: true,
    },
    admin,
  );
  await expect(written).rejects.toThrow("the object has been modified");
  expect(overtakes).toBe(1);
});
