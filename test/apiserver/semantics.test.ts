/** What clients rely on beyond kubectl's daily use, over the wire. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { gunzipSync } from "node:zlib";
import { encodeProtobuf } from "#shared/api/codec/protobuf.ts";
import type { StatusError } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { ApiServer } from "../../master/apiserver/server.ts";
import { rejection } from "../../master/store/store-contract.ts";
import { admin, startTestServer, type TestServer } from "../support/apiserver.ts";

interface Answer {
  readonly code: number;
  readonly headers: Headers;
  // Answers are looked into freely here.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests assert.
  readonly body: any;
}

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ namespaces: ["test"] });
});
afterAll(() => server.stop());

async function send(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await server.fetch(path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: (body === undefined || typeof body === "string" || body instanceof Uint8Array
      ? (body ?? null)
      : JSON.stringify(body)) as string | null,
  });
  const text = await response.text();
  let parsed: unknown = text;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not JSON: the text itself is looked at.
  }
  return { code: response.status, headers: response.headers, body: parsed };
}

const base = "/api/v1/namespaces/test/configmaps";
const configMap = (name: string, more: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  ...more,
});

/** Lines of a watch until `count` have come, or it ends. */
async function watch(query: string, count: number, path = base): Promise<{ type: string; object: Answer["body"] }[]> {
  const stop = new AbortController();
  const response = await server.fetch(`${path}?watch=1&${query}`, { signal: stop.signal });
  if (response.status !== 200) return [{ type: "HTTP", object: await response.json() }];
  const events: { type: string; object: Answer["body"] }[] = [];
  let rest = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      events.push(...lines.map((line) => JSON.parse(line)));
      if (events.length >= count) break;
    }
  } finally {
    stop.abort();
  }
  return events;
}

async function adminTls(): Promise<{ cert: string; key: string }> {
  const { certificatePem, keyPem } = await server.issue("kubernetes-admin", ["system:masters"]);
  return { cert: certificatePem, key: keyPem };
}

describe("create", () => {
  test("fills in what the server owns", async () => {
    const { code, body, headers } = await send("POST", base, configMap("made", { data: { a: "1" } }));
    expect(code).toBe(201);
    expect(body.metadata).toMatchObject({ name: "made", namespace: "test" });
    expect(body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(body.metadata.creationTimestamp).toMatch(/Z$/);
    expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(0);
    expect(body.metadata.managedFields[0]).toMatchObject({
      operation: "Update",
      apiVersion: "v1",
      fieldsV1: { "f:data": { ".": {}, "f:a": {} } },
    });
    expect(headers.get("audit-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("generates names", async () => {
    const { body } = await send("POST", base, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { generateName: "gen-" },
    });
    expect(body.metadata.name).toMatch(/^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  test("takes protobuf", async () => {
    const bytes = encodeProtobuf(
      { group: "", version: "v1", kind: "ConfigMap" },
      configMap("proto", { data: { a: "ä" } }),
    );
    const { code, body } = await send("POST", base, bytes, { "content-type": "application/vnd.kubernetes.protobuf" });
    expect([code, body.data]).toEqual([201, { a: "ä" }]);
  });

  test("takes YAML", async () => {
    const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: 'yes'\n";
    const { code, body } = await send("POST", base, yaml, { "content-type": "application/yaml" });
    expect([code, body.data]).toEqual([201, { a: "yes" }]);
  });

  test("refuses what it cannot read", async () => {
    expect((await send("POST", base, "{", {})).code).toBe(400);
    expect((await send("POST", base, "x", { "content-type": "text/plain" })).code).toBe(415);
    expect((await send("GET", base, undefined, { accept: "image/png" })).code).toBe(406);
    const wrong = await send("POST", base, { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "x" } });
    expect(wrong.body.message).toBe(
      'Deployment in version "v1" cannot be handled as a ConfigMap: converting (v1.Deployment) to (core.ConfigMap): unknown conversion',
    );
    const elsewhere = await send("POST", base, { ...configMap("x"), metadata: { name: "x", namespace: "other" } });
    expect(elsewhere.body.message).toBe(
      "the namespace of the provided object does not match the namespace sent on the request",
    );
    const large = await send("POST", base, configMap("large", { data: { a: "x".repeat(3 * 1024 * 1024) } }));
    expect(large.code).toBe(413);
  });

  test("field validation: strict refuses, warn warns, ignore drops", async () => {
    const odd = configMap("odd", { surprise: 1 });
    const strict = await send("POST", `${base}?fieldValidation=Strict`, odd);
    expect(strict.code).toBe(400);
    expect(strict.body.message).toContain('strict decoding error: unknown field "surprise"');
    const warned = await send("POST", `${base}?fieldValidation=Warn`, odd);
    expect(warned.headers.get("warning")).toBe('299 - "unknown field \\"surprise\\""');
    expect(warned.body.surprise).toBeUndefined();
    const twice =
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"twice"},"data":{"a":"1"},"data":{"a":"2"}}';
    expect((await send("POST", `${base}?fieldValidation=Strict`, twice)).body.message).toContain(
      'duplicate field "data"',
    );
    expect((await send("POST", `${base}?fieldValidation=Ignore`, twice)).headers.get("warning")).toBeNull();
  });

  test("dry run leaves nothing", async () => {
    expect((await send("POST", `${base}?dryRun=All`, configMap("dry"))).code).toBe(201);
    expect((await send("GET", `${base}/dry`)).code).toBe(404);
    expect((await send("POST", `${base}?dryRun=Some`, configMap("dry"))).code).toBe(422);
  });
});

describe("large YAML", () => {
  const type = { "content-type": "application/yaml" };
  const named = (name: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata:\n`;
  const entries = (count: number): string => Array.from({ length: count }, (_, n) => `  k${n}: "${n}"\n`).join("");

  test("is read as small YAML is, while others are answered", async () => {
    const order: string[] = [];
    const note = (name: string) => (answer: Answer) => {
      order.push(name);
      return answer;
    };
    const large = send("POST", base, named("large") + entries(50_000), type).then(note("large"));
    await send("GET", "/version").then(note("version"));
    const { code, body } = await large;
    expect(order).toEqual(["version", "large"]);
    expect(code).toBe(201);
    expect(Object.keys(body.data)).toHaveLength(50_000);
    expect(body.data.k7).toBe("7");
  });

  test("says what is wrong in it where it is", async () => {
    const twice = await send(
      "POST",
      `${base}?fieldValidation=Strict`,
      `${named("twice")}${entries(5_000)}  k1: "2"\n`,
      type,
    );
    expect(twice.body.message).toContain('line 5005: key "k1" already set in map');
    const broken = await send("POST", base, `${named("broken")}${entries(5_000)}  a: b: c\n`, type);
    expect(broken.code).toBe(400);
    expect(broken.body.message).toContain("yaml: line 5005: ");
  });

  test("may be applied", async () => {
    const path = `${base}/applied?fieldManager=test`;
    const applied = await send("PATCH", path, named("applied") + entries(5_000), {
      "content-type": "application/apply-patch+yaml",
    });
    expect(applied.code).toBe(201);
    expect(applied.body.data.k4999).toBe("4999");
  });
});

describe("update", () => {
  test("insists on the resource version that it names", async () => {
    const { body: made } = await send("POST", base, configMap("locked", { data: { a: "1" } }));
    const { body: second } = await send("PUT", `${base}/locked`, { ...made, data: { a: "2" } });
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(made.metadata.resourceVersion));
    const stale = await send("PUT", `${base}/locked`, { ...made, data: { a: "3" } });
    expect(stale.code).toBe(409);
    expect(stale.body.message).toBe(
      'Operation cannot be fulfilled on configmaps "locked": the object has been modified; please apply your changes to the latest version and try again',
    );
    const { resourceVersion: _, ...loose } = made.metadata;
    expect((await send("PUT", `${base}/locked`, { ...made, metadata: loose, data: { a: "4" } })).code).toBe(200);
    const other = await send("PUT", `${base}/locked`, {
      ...configMap("locked"),
      metadata: { name: "locked", uid: "other" },
    });
    expect(other.code).toBe(409);
    expect((await send("PUT", `${base}/none`, configMap("none"))).code).toBe(404);
  });

  test("a write that changes nothing keeps its revision", async () => {
    const { body: made } = await send("POST", base, configMap("same", { data: { a: "1" } }));
    const { body: again } = await send("PUT", `${base}/same`, made);
    expect(again.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    const merge = { "content-type": "application/merge-patch+json" };
    const { body: patched } = await send("PATCH", `${base}/same`, { data: { a: "1" } }, merge);
    expect(patched.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
  });

  test("racing patches all land", async () => {
    await send("POST", base, configMap("race"));
    const merge = { "content-type": "application/merge-patch+json" };
    const results = await Promise.all(
      Array.from({ length: 4 }, (_, n) => send("PATCH", `${base}/race`, { data: { [`k${n}`]: "x" } }, merge)),
    );
    expect(results.map(({ code }) => code)).toEqual([200, 200, 200, 200]);
    expect(Object.keys((await send("GET", `${base}/race`)).body.data)).toHaveLength(4);
  });

  test("a status write that carries annotations leaves the generation as it is", async () => {
    const path = "/apis/apps/v1/namespaces/test/deployments";
    const template = { metadata: { labels: { app: "g" } }, spec: { containers: [{ name: "c", image: "i" }] } };
    const spec = { replicas: 0, selector: { matchLabels: { app: "g" } }, template };
    const made = (
      await send("POST", path, { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "g" }, spec })
    ).body;
    const metadata = { ...made.metadata, annotations: { "example.com/seen": "yes" } };
    const written = (await send("PUT", `${path}/g/status`, { ...made, metadata, status: { observedGeneration: 1 } }))
      .body;
    expect([written.metadata.generation, written.metadata.annotations["example.com/seen"]]).toEqual([1, "yes"]);
  });

  test("status and spec are kept apart, and a new spec raises the generation", async () => {
    const path = "/apis/apps/v1/namespaces/test/replicasets";
    const spec = {
      replicas: 1,
      selector: { matchLabels: { a: "b" } },
      template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } },
    };
    const { body: made } = await send("POST", path, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: "r" },
      spec,
      status: { replicas: 9 },
    });
    expect([made.metadata.generation, made.status]).toEqual([1, { replicas: 0 }]);
    const { body: main } = await send("PUT", `${path}/r`, {
      ...made,
      spec: { ...made.spec, replicas: 2 },
      status: { replicas: 5 },
    });
    expect([main.metadata.generation, main.spec.replicas, main.status.replicas]).toEqual([2, 2, 0]);
    const { body: status } = await send("PUT", `${path}/r/status`, {
      ...main,
      spec: { ...made.spec, replicas: 7 },
      status: { replicas: 2 },
    });
    expect([status.metadata.generation, status.spec.replicas, status.status.replicas]).toEqual([2, 2, 2]);
    const { body: scale } = await send("GET", `${path}/r/scale`);
    expect(scale).toMatchObject({ kind: "Scale", spec: { replicas: 2 }, status: { replicas: 2, selector: "a=b" } });
    const { body: scaled } = await send("PUT", `${path}/r/scale`, { ...scale, spec: { replicas: 4 } });
    expect(scaled.spec.replicas).toBe(4);
    expect((await send("GET", `${path}/r`)).body.metadata.generation).toBe(3);
  });
});

describe("delete", () => {
  test("at once, and only what the preconditions mean", async () => {
    const { body: made } = await send("POST", base, configMap("gone"));
    const wrong = await send("DELETE", `${base}/gone`, { preconditions: { uid: "other" } });
    expect([wrong.code, wrong.body.reason]).toEqual([409, "Conflict"]);
    const { code, body } = await send("DELETE", `${base}/gone`, { preconditions: { uid: made.metadata.uid } });
    expect([code, body.status, body.details.uid]).toEqual([200, "Success", made.metadata.uid]);
    expect((await send("DELETE", `${base}/gone`)).code).toBe(404);
  });

  test("finalizers hold an object until the last one is taken away", async () => {
    await send("POST", base, { ...configMap("held"), metadata: { name: "held", finalizers: ["example.com/hold"] } });
    const { code, body } = await send("DELETE", `${base}/held`);
    expect(code).toBe(200);
    expect(body.metadata.deletionTimestamp).toBeString();
    const merge = { "content-type": "application/merge-patch+json" };
    const more = await send(
      "PATCH",
      `${base}/held`,
      { metadata: { finalizers: ["example.com/hold", "example.com/more"] } },
      merge,
    );
    expect(more.code).toBe(422);
    expect((await send("PATCH", `${base}/held`, { metadata: { finalizers: null } }, merge)).code).toBe(200);
    expect((await send("GET", `${base}/held`)).code).toBe(404);
  });

  test("propagation becomes finalizers", async () => {
    await send("POST", base, configMap("parent"));
    const { code, body } = await send("DELETE", `${base}/parent`, { propagationPolicy: "Foreground" });
    expect([code, body.metadata.finalizers]).toEqual([202, ["foregroundDeletion"]]);
    const { body: orphan } = await send("DELETE", `${base}/parent`, { propagationPolicy: "Orphan" });
    expect(orphan.metadata.finalizers).toEqual(["orphan"]);
    await send("DELETE", `${base}/parent`, { propagationPolicy: "Background" });
    expect((await send("GET", `${base}/parent`)).code).toBe(404);
  });

  test("pods on a node go gracefully, unbound ones at once", async () => {
    const pods = "/api/v1/namespaces/test/pods";
    const pod = (name: string) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: { containers: [{ name: "c", image: "i" }] },
    });
    await send("POST", pods, pod("unbound"));
    expect((await send("DELETE", `${pods}/unbound`)).code).toBe(200);
    expect((await send("GET", `${pods}/unbound`)).code).toBe(404);
    await send("POST", pods, pod("bound"));
    const binding = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: "bound" },
      target: { kind: "Node", name: "n1" },
    };
    expect((await send("POST", `${pods}/bound/binding`, binding)).code).toBe(201);
    expect((await send("POST", `${pods}/bound/binding`, binding)).code).toBe(409);
    const { body: on } = await send("GET", `${pods}/bound`);
    expect(on.spec.nodeName).toBe("n1");
    expect(on.status.conditions[0]).toMatchObject({ type: "PodScheduled", status: "True" });
    const { body: going } = await send("DELETE", `${pods}/bound`);
    expect(going.metadata.deletionGracePeriodSeconds).toBe(30);
    const { body: sooner } = await send("DELETE", `${pods}/bound`, { gracePeriodSeconds: 5 });
    expect(sooner.metadata.deletionGracePeriodSeconds).toBe(5);
    await send("DELETE", `${pods}/bound`, { gracePeriodSeconds: 0 });
    expect((await send("GET", `${pods}/bound`)).code).toBe(404);
  });

  test("a namespace stays until it is finalized", async () => {
    await send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "leaving" } });
    const { body } = await send("DELETE", "/api/v1/namespaces/leaving");
    expect([body.status.phase, body.spec.finalizers]).toEqual(["Terminating", ["kubernetes"]]);
    const finalize = await send("PUT", "/api/v1/namespaces/leaving/finalize", { ...body, spec: {} });
    expect(finalize.code).toBe(200);
    expect((await send("GET", "/api/v1/namespaces/leaving")).code).toBe(404);
  });

  test("a collection by selector", async () => {
    for (const name of ["c1", "c2", "c3"]) {
      await send("POST", base, {
        ...configMap(name),
        metadata: { name, labels: { set: name === "c3" ? "no" : "yes" } },
      });
    }
    const { code, body } = await send("DELETE", `${base}?labelSelector=set%3Dyes`);
    expect([code, body.kind, body.items.length]).toEqual([200, "ConfigMapList", 2]);
    expect((await send("GET", `${base}/c3`)).code).toBe(200);
  });
});

describe("eviction", () => {
  const pods = "/api/v1/namespaces/test/pods";
  const budgets = "/apis/policy/v1/namespaces/test/poddisruptionbudgets";
  const merge = { "content-type": "application/merge-patch+json" };

  test("is refused with 429 while the budget allows no disruption", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "guarded", labels: { app: "g" } },
      spec: { containers: [{ name: "c", image: "i" }] },
    };
    await send("POST", pods, pod);
    await send(
      "PATCH",
      `${pods}/guarded/status`,
      { status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] } },
      merge,
    );
    await send("POST", budgets, {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "pdb" },
      spec: { minAvailable: 1, selector: { matchLabels: { app: "g" } } },
    });
    const status = {
      observedGeneration: 1,
      disruptionsAllowed: 0,
      currentHealthy: 1,
      desiredHealthy: 1,
      expectedPods: 1,
    };
    await send("PATCH", `${budgets}/pdb/status`, { status }, merge);
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "guarded" } };
    const refused = await send("POST", `${pods}/guarded/eviction`, eviction);
    expect([refused.code, refused.body.details.causes[0].reason]).toEqual([429, "DisruptionBudget"]);
    await send("PATCH", `${budgets}/pdb/status`, { status: { disruptionsAllowed: 1 } }, merge);
    expect((await send("POST", `${pods}/guarded/eviction`, eviction)).code).toBe(201);
    expect((await send("GET", `${pods}/guarded`)).code).toBe(404);
    const { body } = await send("GET", `${budgets}/pdb`);
    expect([body.status.disruptionsAllowed, Object.keys(body.status.disruptedPods)]).toEqual([0, ["guarded"]]);
  });
});

describe("list", () => {
  const path = "/api/v1/namespaces/pages/configmaps";
  beforeAll(async () => {
    await send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "pages" } });
    for (const name of ["a", "b", "c", "d", "e"]) await send("POST", path, configMap(name, { data: { v: "1" } }));
  });

  test("pages show one moment, whatever happens between them", async () => {
    const { body: first } = await send("GET", `${path}?limit=2`);
    expect(first.items.map((item: Answer["body"]) => item.metadata.name)).toEqual(["a", "b"]);
    expect(first.metadata.remainingItemCount).toBe(3);
    await send("DELETE", `${path}/c`);
    await send("POST", path, configMap("bb"));
    const { body: second } = await send("GET", `${path}?limit=2&continue=${first.metadata.continue}`);
    expect(second.items.map((item: Answer["body"]) => item.metadata.name)).toEqual(["c", "d"]);
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    const { body: third } = await send("GET", `${path}?limit=2&continue=${second.metadata.continue}`);
    expect(third.items.map((item: Answer["body"]) => item.metadata.name)).toEqual(["e"]);
    expect(third.metadata.continue).toBeUndefined();
  });

  test("as of an exact revision, or not older than one", async () => {
    const { body: before } = await send("GET", path);
    const { resourceVersion } = before.metadata;
    await send("POST", path, configMap("z"));
    const { body: exact } = await send("GET", `${path}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`);
    expect(exact.items).toEqual(before.items);
    const { body: newer } = await send(
      "GET",
      `${path}?resourceVersion=${resourceVersion}&resourceVersionMatch=NotOlderThan`,
    );
    expect(newer.items).toHaveLength(before.items.length + 1);
    expect((await send("GET", `${path}?resourceVersionMatch=Exact`)).code).toBe(422);
    expect((await send("GET", `${path}?continue=nonsense`)).code).toBe(400);
    const future = await send("GET", `${path}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan`);
    expect([future.code, future.body.details.causes[0].reason]).toEqual([504, "ResourceVersionTooLarge"]);
  });

  test("a page whose moment is forgotten says how to go on", async () => {
    const expired = Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: 1, start: "pages/b\u0000" })).toString(
      "base64url",
    );
    await server.store.compact(await server.store.now());
    const guards = {
      authenticator: { authenticate: async () => undefined },
      authorizer: { authorize: async () => ({ outcome: "allow" as const, reason: "" }) },
      admission: [],
    };
    const later = new ApiServer({ store: server.store, declarations: builtinDeclarations, guards: () => guards });
    await later.start();
    const client = later.client(admin);
    const error = (await rejection(client.list(configMaps, { namespace: "pages", continue: expired }))) as StatusError;
    expect([error.code, error.reason]).toEqual([410, "Expired"]);
    const next = error.toStatus().metadata?.continue;
    const rest = await client.list(configMaps, { namespace: "pages", continue: next });
    later.stop();
    expect(rest.items.map(({ metadata }) => metadata.name)).not.toContain("b");
    expect(rest.items.map(({ metadata }) => metadata.name)).toContain("d");
  });

  test("objects in namespaces are not written across them", async () => {
    expect((await send("POST", "/api/v1/configmaps", configMap("nowhere"))).code).toBe(405);
    expect((await send("GET", "/api/v1/namespaces/test/nodes")).code).toBe(404);
    expect((await send("GET", "/api/v1/configmaps")).body.items.length).toBeGreaterThan(5);
  });

  test("unknown selectors are refused", async () => {
    expect((await send("GET", `${path}?fieldSelector=data.v%3D1`)).code).toBe(400);
    expect((await send("GET", `${path}?labelSelector=a%3D%3D%3Db`)).code).toBe(400);
  });

  test("tables and metadata alone", async () => {
    const { body: table } = await send("GET", path, undefined, {
      accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
    });
    expect(table.kind).toBe("Table");
    expect(table.columnDefinitions.map((column: Answer["body"]) => column.name)).toEqual(["Name", "Data", "Age"]);
    expect(table.rows[0].object.kind).toBe("PartialObjectMetadata");
    const { body: partial } = await send("GET", path, undefined, {
      accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    });
    expect(partial.kind).toBe("PartialObjectMetadataList");
    expect(partial.items[0].data).toBeUndefined();
    const { body: one } = await send("GET", `${path}/a`, undefined, {
      accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    });
    expect([one.kind, one.metadata.name]).toEqual(["PartialObjectMetadata", "a"]);
  });

  const names = Array.from({ length: 60 }, (_, n) => `big-${n}`);
  const bigData = { v: "x".repeat(10_000) };

  test("large lists arrive whole, in gzip for who asks", async () => {
    await Promise.all(names.map((name) => send("POST", path, configMap(name, { data: bigData }))));
    const response = await server.fetch(path, {
      headers: { "accept-encoding": "gzip" },
      decompress: false,
    } as RequestInit);
    expect(response.headers.get("content-encoding")).toBe("gzip");
    const list = JSON.parse(gunzipSync(Buffer.from(await response.arrayBuffer())).toString());
    expect(list.items.length).toBeGreaterThan(60);
    const plain = await send("GET", path, undefined, { "accept-encoding": "identity" });
    expect(plain.body.items).toEqual(list.items);
  });

  test("gzip compresses for other machines, and only frames for this one", async () => {
    const { issue, authority, url } = server;
    const { certificatePem: cert, keyPem: key } = await issue("kubernetes-admin", ["system:masters"]);
    const bytesOver = async (localAddress: string): Promise<Buffer> => {
      const socket = connectTcp({ host: "127.0.0.1", port: Number(new URL(url).port), localAddress });
      await once(socket, "connect");
      const secured = connectTls({ socket, ca: authority.certificatePem, cert, key, servername: "localhost" });
      secured.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n`);
      const parts: Buffer[] = [];
      for await (const part of secured) parts.push(part as Buffer);
      const answer = Buffer.concat(parts);
      expect(answer.includes("\r\ncontent-encoding: gzip\r\n")).toBe(true);
      return answer;
    };
    const text_bytes = names.length * bigData.v.length;
    expect((await bytesOver("127.0.0.1")).length).toBeGreaterThan(text_bytes);
    expect((await bytesOver("127.0.0.2")).length).toBeLessThan(text_bytes / 2);
  });
});

describe("watch", () => {
  test("goes on exactly where a list ended", async () => {
    const { body: list } = await send("GET", base);
    const from = list.metadata.resourceVersion;
    await send("POST", base, configMap("w1", { data: { a: "1" } }));
    await send("PATCH", `${base}/w1`, { data: { a: "2" } }, { "content-type": "application/merge-patch+json" });
    await send("DELETE", `${base}/w1`);
    const events = await watch(`resourceVersion=${from}`, 3);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
    const revisions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    expect(events[2]?.object.data).toEqual({ a: "2" });
    expect(await watch(`resourceVersion=${revisions[1]}`, 1)).toEqual(events.slice(2));
  });

  test("an object that begins or ceases to match is added or deleted", async () => {
    const { body: list } = await send("GET", base);
    const merge = { "content-type": "application/merge-patch+json" };
    await send("POST", base, configMap("turn"));
    await send("PATCH", `${base}/turn`, { metadata: { labels: { on: "yes" } } }, merge);
    await send("PATCH", `${base}/turn`, { data: { a: "1" } }, merge);
    await send("PATCH", `${base}/turn`, { metadata: { labels: { on: "no" } } }, merge);
    const events = await watch(`resourceVersion=${list.metadata.resourceVersion}&labelSelector=on%3Dyes`, 3);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
    expect(events[2]?.object.metadata.labels).toEqual({ on: "yes" });
  });

  test("WatchList gives what is there, then says so", async () => {
    const path = "/api/v1/namespaces";
    const { body: list } = await send("GET", path);
    const events = await watch(
      "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
      list.items.length + 1,
      path,
    );
    expect(events.slice(0, -1).map(({ object }) => object.metadata.name)).toEqual(
      list.items.map((item: Answer["body"]) => item.metadata.name),
    );
    const last = events.at(-1);
    expect(last?.type).toBe("BOOKMARK");
    expect(last?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
    expect((await watch("sendInitialEvents=true", 1, path))[0]?.object.code).toBe(422);
  });

  test("ends when its time is over", async () => {
    expect(await watch("timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name%3Dnone", 1)).toEqual([]);
  });

  test("from a revision that is forgotten it is 410", async () => {
    await server.store.compact(await server.store.now());
    const guards = {
      authenticator: { authenticate: async () => undefined },
      authorizer: { authorize: async () => ({ outcome: "allow" as const, reason: "" }) },
      admission: [],
    };
    const later = new ApiServer({ store: server.store, declarations: builtinDeclarations, guards: () => guards });
    await later.start();
    const signal = new AbortController().signal;
    const events = later.client(admin).watch(configMaps, { resourceVersion: "1", signal })[Symbol.asyncIterator]();
    expect(await rejection(events.next())).toMatchObject({ code: 410, reason: "Expired" });
    const page = { limit: 1, namespace: "test" };
    const first = await server.client.list(configMaps, page);
    later.stop();
    expect(first.metadata.continue).toBeString();
  });

  test("over a WebSocket, a frame a message", async () => {
    const socket = new WebSocket(`${server.url.replace("https", "wss")}/api/v1/namespaces?watch=1`, {
      tls: { ca: server.authority.certificatePem, ...(await adminTls()) },
    } as unknown as string[]);
    const message = await new Promise<string>((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(String(data));
      socket.onerror = () => reject(new Error("the WebSocket failed"));
    });
    socket.close();
    expect(JSON.parse(message)).toMatchObject({ type: "ADDED", object: { kind: "Namespace" } });
  });

  test("a Table watch names its columns once", async () => {
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const stop = new AbortController();
    const response = await server.fetch(`/api/v1/namespaces?watch=1`, { headers: { accept }, signal: stop.signal });
    const reader = response.body?.getReader();
    let text = "";
    while (text.split("\n").length < 3) text += new TextDecoder().decode((await reader?.read())?.value);
    stop.abort();
    const [first, second] = text.split("\n").map((line) => (line ? JSON.parse(line) : undefined));
    expect(first.object.columnDefinitions.length).toBeGreaterThan(0);
    expect(second.object.columnDefinitions).toEqual([]);
  });
});

describe("other groups and versions", () => {
  test("events of both groups are the same objects", async () => {
    const event = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "e1" },
      eventTime: "2026-01-01T00:00:00.000000Z",
      action: "Do",
      reason: "Because",
      reportingController: "example.com/c",
      reportingInstance: "c-1",
      type: "Normal",
      note: "said",
      regarding: { kind: "Pod", namespace: "test", name: "p" },
    };
    expect((await send("POST", "/apis/events.k8s.io/v1/namespaces/test/events", event)).code).toBe(201);
    const { body } = await send("GET", "/api/v1/namespaces/test/events/e1");
    expect([body.apiVersion, body.message, body.involvedObject.name]).toEqual(["v1", "said", "p"]);
    const list = await send("GET", "/apis/events.k8s.io/v1/namespaces/test/events?fieldSelector=regarding.name%3Dp");
    expect(list.body.items[0].note).toBe("said");
  });

  test("nil lists are absent, and the next write of the same is none", async () => {
    const path = "/apis/discovery.k8s.io/v1/namespaces/test/endpointslices";
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "s" },
      addressType: "IPv4",
    };
    const { code, body } = await send("POST", path, { ...slice, endpoints: null, ports: null });
    expect([code, "ports" in body, "endpoints" in body]).toEqual([201, false, false]);
    const again = await send("PUT", `${path}/s`, { ...body, endpoints: null });
    expect(again.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
  });

  test("a HorizontalPodAutoscaler in both versions", async () => {
    const path = (version: string) => `/apis/autoscaling/${version}/namespaces/test/horizontalpodautoscalers`;
    const made = await send("POST", path("v1"), {
      apiVersion: "autoscaling/v1",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "h" },
      spec: {
        maxReplicas: 3,
        targetCPUUtilizationPercentage: 50,
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" },
      },
    });
    expect(made.code).toBe(201);
    const { body } = await send("GET", `${path("v2")}/h`);
    expect([body.apiVersion, body.spec.metrics[0].resource.target.averageUtilization]).toEqual(["autoscaling/v2", 50]);
  });

  test("discovery, old and aggregated", async () => {
    const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const aggregated = await send("GET", "/apis", undefined, { accept });
    expect(aggregated.body.kind).toBe("APIGroupDiscoveryList");
    const etag = aggregated.headers.get("etag") ?? "";
    expect((await send("GET", "/apis", undefined, { accept, "if-none-match": etag })).code).toBe(304);
    expect((await send("GET", "/api")).body.versions).toEqual(["v1"]);
    const { body } = await send("GET", "/apis/apps/v1");
    expect(body.resources.map((resource: Answer["body"]) => resource.name)).toContain("deployments/scale");
    expect((await send("GET", "/apis/autoscaling")).body.preferredVersion.version).toBe("v2");
    expect((await send("GET", "/apis/none.example.com/v1")).code).toBe(404);
    expect((await send("GET", "/version")).body).toMatchObject({ major: "1", minor: "35" });
    expect((await send("POST", "/version")).code).toBe(405);
    expect((await send("GET", "/livez/ping")).body).toBe("ok");
  });
});

describe("who may", () => {
  test("refusals are worded as upstream words them", async () => {
    const user = { name: "anna", groups: ["system:authenticated"] };
    const refusal = server
      .clientAs(user)
      .list({ group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true }, { namespace: "test" });
    expect(await refusal.catch((error: Error) => error.message)).toBe(
      'pods is forbidden: User "anna" cannot list resource "pods" in API group "" in the namespace "test"',
    );
  });

  test("impersonation", async () => {
    const as = { "impersonate-user": "ben" };
    const refused = await send("GET", `${base}/c3`, undefined, as);
    expect(refused.body.message).toBe(
      'configmaps "c3" is forbidden: User "ben" cannot get resource "configmaps" in API group "" in the namespace "test"',
    );
    expect((await send("GET", `${base}/c3`, undefined, { ...as, "impersonate-group": "system:masters" })).code).toBe(
      200,
    );
  });

  test("a certificate of another authority is nobody's", async () => {
    const other = await startTestServer();
    const rogue = await other.issue("kubernetes-admin", ["system:masters"]);
    await other.stop();
    const response = await fetch(`${server.url}${base}`, {
      tls: { ca: server.authority.certificatePem, cert: rogue.certificatePem, key: rogue.keyPem },
    } as RequestInit);
    expect(response.status).toBe(403);
    expect(((await response.json()) as Answer["body"]).message).toContain('User "system:anonymous"');
  });
});
