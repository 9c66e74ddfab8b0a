/** What a webhook's patch may make of an object. Expectations were seen at upstream's API server 1.35. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { configMaps } from "#shared/api/resources.ts";
import type { ExtendedServer } from "./extended-server.ts";
import { startWebhook, type WebhookFixture } from "./webhook-fixture.ts";

setDefaultTimeout(300_000);

let fixture: WebhookFixture;
let server: ExtendedServer;
let steps: readonly object[] = [];

beforeAll(async () => {
  fixture = await startWebhook({
    kind: "Mutating",
    rule: { apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] },
    answer: () => ({
      allowed: true,
      patchType: "JSONPatch",
      patch: Buffer.from(JSON.stringify(steps)).toString("base64"),
    }),
  });
  server = fixture.server;
});
afterAll(() => fixture.stop());

const configMap = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } }) as const;
const create = (name: string, dryRun = false) =>
  server.client.create(configMaps, configMap(name), { namespace: "shop", dryRun });

test("an object stays in the namespace of the request, and keeps its name", async () => {
  const elsewhere = "the namespace of the provided object does not match the namespace sent on the request";
  const move = { op: "replace", path: "/metadata/namespace", value: "hooks" };
  steps = [move];
  await expect(create("a")).rejects.toThrow(elsewhere);
  steps = [{ op: "remove", path: "/metadata/namespace" }];
  expect((await create("a")).metadata.namespace).toBe("shop");
  steps = [move];
  const patch = { type: "merge", body: { data: { a: "1" } } } as const;
  const update = () => server.client.patch(configMaps, { namespace: "shop", name: "a" }, patch);
  await expect(update()).rejects.toThrow(elsewhere);
  steps = [{ op: "replace", path: "/metadata/name", value: "x" }];
  await expect(update()).rejects.toThrow(
    'ConfigMap "x" is invalid: metadata.name: Invalid value: "x": field is immutable',
  );
});

test("an object stays of its kind and version", async () => {
  steps = [{ op: "replace", path: "/apiVersion", value: "v9" }];
  await expect(create("b", true)).rejects.toThrow(
    'Internal error occurred: no kind "ConfigMap" is registered for version "v9" in scheme "pkg/runtime/scheme.go:111"',
  );
  steps = [{ op: "replace", path: "/kind", value: "Secret" }];
  await expect(create("b", true)).rejects.toThrow("converting (v1.Secret) to (core.ConfigMap): unknown conversion");
  steps = [{ op: "replace", path: "", value: [] }];
  await expect(create("b", true)).rejects.toThrow(
    "Internal error occurred: couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value",
  );
  steps = [{ op: "remove", path: "/kind" }];
  expect((await create("b", true)).kind).toBe("ConfigMap");
});

test("why a patch does not fit is said", async () => {
  steps = [{ op: "test", path: "/metadata/name", value: "1" }];
  await expect(create("c", true)).rejects.toThrow(
    "Internal error occurred: testing value /metadata/name failed: test failed",
  );
  steps = [{ op: "odd", path: "/data" }];
  await expect(create("c", true)).rejects.toThrow("Internal error occurred: Unexpected kind: odd");
});

test("managed fields that a patch spoils stay as they were, and the client is told", async () => {
  steps = [];
  const filled = (name: string) => ({ ...configMap(name), data: { a: "1" } });
  const made = await server.client.create(configMaps, filled("d"), { namespace: "shop" });
  steps = [
    { op: "remove", path: "/metadata/managedFields/0/apiVersion" },
    { op: "remove", path: "/metadata/managedFields/0/fieldsV1" },
    { op: "remove", path: "/metadata/managedFields/0/fieldsType" },
  ];
  const answer = await server.fetch("/api/v1/namespaces/shop/configmaps/d", {
    method: "PATCH",
    headers: { "content-type": "application/json-patch+json" },
    body: "[]",
  });
  expect(await answer.json()).toMatchObject({ metadata: { managedFields: made.metadata.managedFields } });
  expect(answer.headers.get("warning")).toBe(
    '299 - ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated ' +
      'mutating admission controller; please fix your requests: apiVersion must not be empty"',
  );
  const another = await server.client.create(configMaps, filled("e"), { namespace: "shop" });
  expect(another.metadata.managedFields).toMatchObject([{ apiVersion: "v1", fieldsType: "FieldsV1" }]);
});
