/** A custom kind's storage version changes: objects are written anew in the new one, and the old one may go then. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ExtendedServer, eventually, startExtendedServer } from "./extended-server.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
beforeAll(async () => {
  server = await startExtendedServer([]);
});
afterAll(() => server.stop());

interface Answer {
  readonly metadata: { readonly resourceVersion: string };
  readonly status: { readonly storedVersions: readonly string[] };
  readonly message?: string;
}

const definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ships.s.example.com";
const ship = (version: string): string => `/apis/s.example.com/${version}/namespaces/default/ships/a`;

async function send(method: string, path: string, body?: object, type = "application/json"): Promise<Answer> {
  const headers = { "content-type": type };
  const response = await server.fetch(path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return (await response.json()) as Answer;
}
const merge = (path: string, body: object): Promise<Answer> =>
  send("PATCH", path, body, "application/merge-patch+json");

const version = (name: string, storage: boolean) => ({
  name,
  storage,
  served: true,
  schema: { openAPIV3Schema: { type: "object", properties: { size: { type: "integer" } } } },
});

/** The version that the object rests in. */
async function storedVersion(): Promise<string> {
  const found = await server.store.get("/registry/s.example.com/ships/default/a");
  return (JSON.parse(String(found?.value ?? "{}")) as { apiVersion: string }).apiVersion;
}

test("what is written again rests in the new version, and the old one may go", async () => {
  await send("POST", definition.replace(/\/[^/]*$/, ""), {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "ships.s.example.com" },
    spec: {
      group: "s.example.com",
      scope: "Namespaced",
      names: { plural: "ships", singular: "ship", kind: "Ship", listKind: "ShipList" },
      versions: [version("v1", true), version("v2", false)],
    },
  });
  const made = await eventually(async () => {
    const body = { apiVersion: "s.example.com/v1", kind: "Ship", metadata: { name: "a" }, size: 1 };
    const created = await send("POST", ship("v1").replace(/\/a$/, ""), body).catch(() => undefined);
    return created?.metadata?.resourceVersion ? created : undefined;
  });
  expect(await storedVersion()).toBe("s.example.com/v1");
  const tried = await send("POST", ship("v2").replace(/\/a$/, "?dryRun=All"), {
    apiVersion: "s.example.com/v2",
    kind: "Ship",
    metadata: { name: "b" },
  });
  expect(tried).toMatchObject({ apiVersion: "s.example.com/v2" });
  expect(tried.metadata.resourceVersion).toBeUndefined();

  const changed = await merge(definition, { spec: { versions: [version("v1", false), version("v2", true)] } });
  expect(changed.status.storedVersions).toEqual(["v1", "v2"]);
  const early = await merge(definition, { spec: { versions: [version("v2", true)] } });
  expect(early.message).toContain("v1 was previously a storage version, and must remain in spec.versions");

  // A write that changes nothing is one here: the server may learn of the new version a moment later.
  const written = await eventually(async () => {
    const answer = await merge(ship("v1"), { size: 1 });
    return answer.metadata.resourceVersion === made.metadata.resourceVersion ? undefined : answer;
  });
  expect(await storedVersion()).toBe("s.example.com/v2");
  expect((await merge(ship("v1"), { size: 1 })).metadata.resourceVersion).toBe(written.metadata.resourceVersion);

  const forgotten = await merge(`${definition}/status`, { status: { storedVersions: ["v2"] } });
  expect(forgotten.status.storedVersions).toEqual(["v2"]);
  const last = await merge(definition, { spec: { versions: [version("v2", true)] } });
  expect(last.message).toBeUndefined();
  expect(await send("GET", ship("v2"))).toMatchObject({ apiVersion: "s.example.com/v2", size: 1 });
});
