/** Patches of what others change all the time: upstream begins anew until the time of the request is over. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { configMaps } from "#shared/api/resources.ts";
import type { AdmissionPlugin } from "../../master/apiserver/admission/admission.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

let server: TestServer;
let others = 0;

/** Writes to the object each time before a patch of it can be stored, as long as there are others. */
const busy: AdmissionPlugin = {
  name: "Busy",
  resources: [{ group: "", plural: "configmaps" }],
  async validate({ operation, oldObject }): Promise<void> {
    if (operation !== "UPDATE" || others === 0) return;
    const stored = await server.store.get(`/registry/configmaps/default/${oldObject?.metadata.name}`);
    if (!stored) return;
    const before = `"count":"${others}"`;
    others -= 1;
    await server.store.update(stored.key, stored.value.replace(before, `"count":"${others}"`), stored.revision);
  },
};

beforeAll(async () => {
  server = await startTestServer({ guards: () => ({ admission: [busy] }) });
});
afterAll(() => server.stop());

const key = { namespace: "default", name: "shared" };
const contend = async (count: number) => {
  await server.client.delete(configMaps, key).catch(() => undefined);
  const made = await server.client.create(configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: key,
    data: { count: String(count) },
  });
  others = count;
  return made;
};

test("a patch that loses to 150 others is made all the same, of what they left", async () => {
  await contend(150);
  const patched = await server.client.patch(configMaps, key, { type: "merge", body: { data: { mine: "1" } } });
  expect(patched.data).toEqual({ count: "0", mine: "1" });
});

test("an apply, too", async () => {
  await contend(150);
  const body = { apiVersion: "v1", kind: "ConfigMap", metadata: key, data: { mine: "1" } };
  const how = { type: "apply", body, force: true } as const;
  const applied = await server.client.patch(configMaps, key, how, { fieldManager: "me" });
  expect(applied.data).toEqual({ count: "0", mine: "1" });
});

test("one that names the revision that it is for loses to the first", async () => {
  const { metadata } = await contend(1);
  const body = { metadata: { resourceVersion: metadata.resourceVersion }, data: { mine: "1" } };
  await expect(server.client.patch(configMaps, key, { type: "merge", body })).rejects.toThrow(
    "the object has been modified; please apply your changes to the latest version and try again",
  );
});
