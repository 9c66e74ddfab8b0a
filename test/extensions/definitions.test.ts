/** What a CustomResourceDefinition says besides the shape of its objects, and what becomes of a change to it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import type { AdmissionPlugin } from "../../master/apiserver/admission/admission.ts";
import { Definitions } from "../../master/apiserver/extensions/definitions.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";
import { eventually } from "./extended-server.ts";

let server: TestServer;
let definitions: Definitions;

setDefaultTimeout(300_000);

/** What admission is shown of deletions: the version of the request, and that of the object. */
const deletions: [requested: string, shown: string][] = [];

beforeAll(async () => {
  const admission: AdmissionPlugin = {
    name: "Seen",
    validate({ operation, resource, oldObject }) {
      if (operation === "DELETE" && resource && oldObject) deletions.push([resource.apiVersion, oldObject.apiVersion]);
    },
  };
  server = await startTestServer({ namespaces: ["boards"], guards: () => ({ admission: [admission] }) });
  const { api, client } = server;
  const webhooks = { call: () => Promise.reject(new Error("nobody converts")) };
  definitions = new Definitions({ reader: api.reader, serving: api, client, webhooks, log: silentLog });
  await definitions.start();
});

afterAll(async () => {
  definitions.stop();
  await server.stop();
});

const all = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what the tests look at is theirs to know
  readonly body: any;
}

async function ask(method: string, path: string, body: unknown, type = "application/json"): Promise<Answered> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await server.fetch(path, { method, headers: { "content-type": type }, body: text });
  return { status: response.status, body: await response.json() };
}

const change = (name: string, body: unknown): Promise<Answered> =>
  ask("PATCH", `${all}/${name}.home.example.com`, body, "application/merge-patch+json");

const version = (name: string, schema: object) => ({
  name,
  served: true,
  storage: name === "v1",
  schema: { openAPIV3Schema: { type: "object", ...schema } },
});

const anything = { "x-kubernetes-preserve-unknown-fields": true };

const definitionOf = (kind: string, schema: object, more: object = {}) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${kind.toLowerCase()}s.home.example.com` },
  spec: {
    group: "home.example.com",
    scope: "Cluster",
    names: { plural: `${kind.toLowerCase()}s`, kind },
    versions: [version("v1", schema)],
    ...more,
  },
});

const established = (plural: string, status: string): Promise<{ readonly reason: string }> =>
  eventually(async () => {
    const { conditions = [] } = (await (await server.fetch(`${all}/${plural}.home.example.com`)).json()).status;
    return conditions.find(
      (each: Record<string, string>) => each["type"] === "Established" && each["status"] === status,
    );
  });

test("whoever watches objects begins anew when they are defined anew", async () => {
  expect((await ask("POST", all, definitionOf("Bell", anything))).status).toBe(201);
  await established("bells", "True");
  const watch = await server.fetch("/apis/home.example.com/v1/bells?watch=1&timeoutSeconds=10000000");
  const annotated = { metadata: { annotations: { note: "nothing to its objects" } } };
  expect((await change("bells", annotated)).status).toBe(200);
  const bell = { apiVersion: "home.example.com/v1", kind: "Bell", metadata: { name: "door" } };
  expect((await ask("POST", "/apis/home.example.com/v1/bells", bell)).status).toBe(201);
  const versions = [version("v1", anything), version("v2", anything)];
  expect((await change("bells", { spec: { versions } })).status).toBe(200);
  // What happened before is told; then the watch is over long before its time.
  const events = (await watch.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events.map(({ type, object }) => [type, object.metadata.name])).toEqual([["ADDED", "door"]]);
});

test("an object that does not say what it is is refused", async () => {
  expect((await ask("POST", all, definitionOf("Chair", anything))).status).toBe(201);
  await established("chairs", "True");
  const told = async (body: string, type?: string): Promise<unknown> => {
    const { status, body: answer } = await ask("POST", "/apis/home.example.com/v1/chairs", body, type);
    return [status, answer.message];
  };
  const unrecognized = "the object provided is unrecognized (must be of type Chair): ";
  expect(await told("{}")).toEqual([400, `${unrecognized}Object 'Kind' is missing in '{}' ({})`]);
  expect(await told("metadata:\n  name: x", "application/yaml")).toEqual([
    400,
    `${unrecognized}Object 'Kind' is missing in 'metadata:\n  name: x' (6d657461646174613a0a20206e616d653a2078)`,
  ]);
  expect(await told('{"apiVersion":"a/b/c","metadata":{"name":"a"}}')).toEqual([
    400,
    `${unrecognized}unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c","metadat ...)`,
  ]);
  expect(await told('{"kind":"Chair","metadata":{"name":"a"}}')).toEqual([
    400,
    "the API version in the data () does not match the expected API version (home.example.com/v1)",
  ]);
  expect(await told('{"kind":"Table","apiVersion":"home.example.com/v1","metadata":{"name":"a"}}')).toEqual([
    422,
    'Table.home.example.com "a" is invalid: kind: Invalid value: "Table": must be Chair',
  ]);
});

test("a webhook that nobody could verify keeps a definition from being served, and is none for one that is", async () => {
  const conversion = (caBundle: string) => ({
    strategy: "Webhook",
    webhook: { conversionReviewVersions: ["v1"], clientConfig: { url: "https://127.0.0.1:1/", caBundle } },
  });
  const broken = { conversion: conversion("Q2c9PQ==") };
  expect((await ask("POST", all, definitionOf("Lock", anything, broken))).status).toBe(201);
  expect(await established("locks", "False")).toMatchObject({
    reason: "InvalidCABundle",
    message: "The conversion webhook CABundle is invalid",
  });
  expect((await change("locks", { spec: { conversion: { strategy: "None", webhook: null } } })).status).toBe(200);
  await established("locks", "True");
  const refused = await change("locks", { spec: broken });
  expect(refused.body.message).toBe(
    'CustomResourceDefinition.apiextensions.k8s.io "locks.home.example.com" is invalid: ' +
      'spec.conversion.webhookClientConfig.caBundle: Invalid value: "Q2c9PQ==": ' +
      "unable to load root certificates: unable to parse bytes as PEM block",
  );
});

test("defaults of an embedded object's metadata may name what no metadata has, which no object gets", async () => {
  const embedded = { type: "object", "x-kubernetes-embedded-resource": true };
  const whole = { apiVersion: "foos/v1", kind: "Foo", metadata: { name: "bar", unknown: "unknown" } };
  const text = (value: string) => ({ type: "string", default: value });
  const properties = {
    byField: {
      ...embedded,
      properties: {
        apiVersion: text("foos/v1"),
        kind: text("Foo"),
        metadata: { type: "object", properties: { name: text("bar"), unknown: text("unknown") } },
      },
    },
    byObject: { ...embedded, ...anything, default: whole },
    around: {
      type: "object",
      properties: { inner: { ...embedded, properties: { foo: { type: "string" } } } },
      default: { inner: whole },
    },
  };
  expect((await ask("POST", all, definitionOf("Nest", { properties }))).status).toBe(201);
  await established("nests", "True");
  const nest = { apiVersion: "home.example.com/v1", kind: "Nest", metadata: { name: "a" }, byField: { metadata: {} } };
  const { body } = await ask("POST", "/apis/home.example.com/v1/nests", nest);
  const known = { apiVersion: "foos/v1", kind: "Foo", metadata: { name: "bar" } };
  expect([body.byField, body.byObject, body.around]).toEqual([known, known, { inner: known }]);
});

test("of an object that nobody could write now, what can be read is shown, and it can be deleted", async () => {
  const properties = { inner: { type: "object", "x-kubernetes-embedded-resource": true, ...anything } };
  expect((await ask("POST", all, definitionOf("Relic", { properties }))).status).toBe(201);
  await established("relics", "True");
  const metadata = { annotations: { foo: 42 }, labels: { kept: "x y" }, unknown: 42 };
  const relic = {
    apiVersion: "home.example.com/v1",
    kind: "Relic",
    metadata: { ...metadata, name: "old", uid: crypto.randomUUID(), creationTimestamp: "2026-01-02T03:04:05Z" },
    inner: { apiVersion: "v1", kind: "Pod", metadata },
  };
  await server.store.create("/registry/home.example.com/relics/old", JSON.stringify(relic));
  const path = "/apis/home.example.com/v1/relics/old";
  const seen = await eventually(async () => {
    const response = await server.fetch(path);
    return response.status === 404 ? undefined : { status: response.status, body: await response.json() };
  });
  expect(seen.status).toBe(200);
  const { labels, annotations, unknown } = seen.body.metadata;
  expect([labels, annotations, unknown]).toEqual([{ kept: "x y" }, undefined, undefined]);
  expect(seen.body.inner.metadata).toEqual({ labels: { kept: "x y" } });
  expect((await server.fetch(path, { method: "DELETE" })).status).toBe(200);
});

test("a deletion is shown to admission in its own version, and is none where nobody can convert to that", async () => {
  const versions = [version("v1", anything), version("v2", anything)];
  expect((await ask("POST", all, definitionOf("Coin", anything, { versions }))).status).toBe(201);
  await established("coins", "True");
  const path = (served: string) => `/apis/home.example.com/${served}/coins`;
  const make = (name: string) =>
    ask("POST", path("v1"), { apiVersion: "home.example.com/v1", kind: "Coin", metadata: { name } });
  for (const name of ["a", "b", "c"]) expect((await make(name)).status).toBe(201);
  deletions.length = 0;
  expect((await server.fetch(`${path("v2")}/a`, { method: "DELETE" })).status).toBe(200);
  expect(deletions).toEqual([["home.example.com/v2", "home.example.com/v2"]]);
  const webhook = { conversionReviewVersions: ["v1"], clientConfig: { url: "https://127.0.0.1:1/" } };
  expect((await change("coins", { spec: { conversion: { strategy: "Webhook", webhook } } })).status).toBe(200);
  await eventually(async () => ((await server.fetch(`${path("v2")}/b`)).status === 500 ? true : undefined));
  for (const of of [`${path("v2")}/b`, path("v2")]) {
    const refused = await server.fetch(of, { method: "DELETE" });
    expect([refused.status, (await refused.json()).message]).toEqual([500, expect.stringContaining("nobody converts")]);
  }
  const left = await (await server.fetch(path("v1"))).json();
  expect(left.items.map(({ metadata }: { readonly metadata: { readonly name: string } }) => metadata.name)).toEqual([
    "b",
    "c",
  ]);
  // The definition goes with its objects, though the version that they rest in is not served any more.
  const hidden = versions.map((each) => ({ ...each, served: each.name === "v2" }));
  expect((await change("coins", { spec: { versions: hidden } })).status).toBe(200);
  expect((await server.fetch(`${all}/coins.home.example.com`, { method: "DELETE" })).status).toBe(200);
  await eventually(async () =>
    (await server.fetch(`${all}/coins.home.example.com`)).status === 404 ? true : undefined,
  );
  expect((await server.store.list("/registry/home.example.com/coins/")).items).toEqual([]);
});
