/** Writes that make an object where there is none: somebody else makes it, or deletes it, between the look and the write. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { configMaps } from "#shared/api/resources.ts";
import type { AdmissionPlugin } from "../../master/apiserver/admission/admission.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

let server: TestServer;

/** Once for each object: makes the one that is to be made, and deletes the one that is to be changed. */
const quicker: AdmissionPlugin = {
  name: "Quicker",
  resources: [
    { group: "", plural: "configmaps" },
    { group: "", plural: "limitranges" },
  ],
  async validate({ operation, object, declaration, name }): Promise<void> {
    if (operation === "DELETE" || object?.metadata.labels?.["raced"] !== operation) return;
    const key = `/registry/${declaration.ref.plural}/default/${name}`;
    const stored = await server.store.get(key);
    if (operation === "UPDATE" && stored) await server.store.delete(key, stored.revision);
    if (operation !== "CREATE" || stored) return;
    const { labels: _, ...metadata } = object.metadata;
    await server.store.create(key, JSON.stringify({ ...object, metadata: { ...metadata, managedFields: [] } }));
  },
};

beforeAll(async () => {
  server = await startTestServer({ guards: () => ({ admission: [quicker] }) });
});
afterAll(() => server.stop());

interface Written {
  readonly metadata: { readonly labels?: Record<string, string>; readonly uid: string };
  readonly data?: Record<string, string>;
}

async function write(method: string, path: string, contentType: string, body: object): Promise<[number, Written]> {
  const headers = { "content-type": contentType };
  const answer = await server.fetch(path, { method, headers, body: JSON.stringify(body) });
  return [answer.status, (await answer.json()) as Written];
}

const apply = (name: string, raced: string, data: Record<string, string>): Promise<[number, Written]> =>
  write("PATCH", `/api/v1/namespaces/default/configmaps/${name}?fieldManager=test`, "application/apply-patch+yaml", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, labels: { raced } },
    data,
  });

test("what another makes first is applied to", async () => {
  const [status, written] = await apply("made", "CREATE", { a: "1" });
  expect([status, written.data, written.metadata.labels]).toEqual([200, { a: "1" }, { raced: "CREATE" }]);
});

test("what another deletes first is made anew by apply", async () => {
  const metadata = { namespace: "default", name: "deleted" };
  const first = await server.client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata });
  const [status, written] = await apply("deleted", "UPDATE", { a: "1" });
  expect([status, written.data]).toEqual([201, { a: "1" }]);
  expect(written.metadata.uid).not.toBe(first.metadata.uid);
});

test.each([
  ["CREATE", 200],
  ["UPDATE", 201],
])("PUT of what may be made by it, raced at %s", async (raced, expected) => {
  const name = `put-${raced.toLowerCase()}`;
  const path = `/api/v1/namespaces/default/limitranges/${name}`;
  const range = { apiVersion: "v1", kind: "LimitRange", metadata: { name }, spec: { limits: [] } };
  if (raced === "UPDATE") await write("PUT", path, "application/json", range);
  const metadata = { name, labels: { raced } };
  const [status, written] = await write("PUT", path, "application/json", { ...range, metadata });
  expect([status, written.metadata.labels]).toEqual([expected, { raced }]);
});
