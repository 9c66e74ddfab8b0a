/** What a request is answered with: which object, in which form. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { decodeProtobuf } from "#shared/api/codec/protobuf.ts";
import type { StatusError } from "#shared/api/errors.ts";
import { configMaps, pods, serviceAccounts } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { computedComponentStatus } from "../../master/apiserver/resources/core/component-status.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { ApiServer } from "../../master/apiserver/server.ts";
import { rejection } from "../../master/store/store-contract.ts";
import { openMemoryStore } from "../../master/store/testing/memory-store.ts";
import { admin, startTestServer, type TestServer } from "../support/apiserver.ts";

const components = new Map([
  ["etcd-0", async () => "ok"],
  ["scheduler", () => Promise.reject(new Error("it waits for its caches"))],
]);

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    namespaces: ["test"],
    guards: () => ({ declarations: [computedComponentStatus(components)] }),
  });
});
afterAll(() => server.stop());

async function send(method: string, path: string, body?: object): Promise<{ code: number; body: unknown }> {
  const response = await server.fetch(path, {
    method,
    headers: { "content-type": "application/json" },
    body: body ? JSON.stringify(body) : null,
  });
  return { code: response.status, body: await response.json() };
}

describe("clients that take nothing but protobuf", () => {
  const accept = "application/vnd.kubernetes.protobuf";
  const ask = async (path: string, signal?: AbortSignal) =>
    server.fetch(path, { headers: { accept }, ...(signal ? { signal } : {}) });
  const decoded = async (path: string) => {
    const response = await ask(path);
    const { value } = decodeProtobuf(new Uint8Array(await response.arrayBuffer()));
    return { code: response.status, type: response.headers.get("content-type"), value };
  };

  test("get objects, lists and refusals in it", async () => {
    const base = "/api/v1/namespaces/default";
    expect(await decoded(base)).toMatchObject({
      code: 200,
      type: accept,
      value: { kind: "Namespace", metadata: { name: "default" } },
    });
    expect((await decoded("/api/v1/namespaces?fieldSelector=metadata.name=default")).value).toMatchObject({
      kind: "NamespaceList",
      items: [{ metadata: { name: "default" } }],
    });
    expect(await decoded(`${base}/configmaps/none`)).toMatchObject({
      code: 404,
      value: { kind: "Status", reason: "NotFound" },
    });
  });

  test("watch in frames of it", async () => {
    const stop = new AbortController();
    const response = await ask("/api/v1/namespaces?watch=1&fieldSelector=metadata.name=default", stop.signal);
    expect(response.headers.get("content-type")).toBe(`${accept};stream=watch`);
    let bytes = Buffer.alloc(0);
    for await (const chunk of response.body ?? []) {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) break;
    }
    stop.abort();
    const event = bytes.subarray(4, 4 + bytes.readUInt32BE(0));
    // Field 1 of WatchEvent is its type.
    expect(event.subarray(0, 7)).toEqual(Buffer.from("\n\x05ADDED"));
    const { value } = decodeProtobuf(event.subarray(event.indexOf("k8s\0")));
    expect(value).toMatchObject({ kind: "Namespace", metadata: { name: "default" } });
  });

  test("get no Table", async () => {
    const table = `${accept};as=Table;g=meta.k8s.io;v=v1`;
    const response = await server.fetch("/api/v1/namespaces", { headers: { accept: table } });
    expect(response.status).toBe(406);
  });
});

describe("a delete that removes at once", () => {
  const metadata = { name: "one", namespace: "test" };

  test("answers with the object where the kind does so", async () => {
    await server.client.create(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata });
    const answer = await send("DELETE", "/api/v1/namespaces/test/serviceaccounts/one?propagationPolicy=Foreground");
    expect(answer).toMatchObject({ code: 200, body: { kind: "ServiceAccount", metadata: { name: "one" } } });
    const again = { apiVersion: "v1", kind: "ServiceAccount", metadata: { ...metadata, name: "two" } } as const;
    await server.client.create(serviceAccounts, again);
    expect(await send("DELETE", "/api/v1/namespaces/test/serviceaccounts/two")).toMatchObject({
      code: 200,
      body: { kind: "ServiceAccount", metadata: { name: "two" } },
    });
  });

  test("answers with a Status elsewhere", async () => {
    await server.client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata });
    expect(await send("DELETE", "/api/v1/namespaces/test/configmaps/one")).toMatchObject({
      code: 200,
      body: { kind: "Status", status: "Success", details: { name: "one", kind: "configmaps" } },
    });
  });
});

test("component statuses are worked out when they are asked for", async () => {
  const path = "/api/v1/componentstatuses";
  expect((await send("GET", path)).body).toMatchObject({
    kind: "ComponentStatusList",
    items: [
      { metadata: { name: "etcd-0" }, conditions: [{ type: "Healthy", status: "True", message: "ok" }] },
      { metadata: { name: "scheduler" }, conditions: [{ status: "False", error: "it waits for its caches" }] },
    ],
  });
  expect((await send("GET", `${path}/etcd-0`)).body).toMatchObject({ kind: "ComponentStatus" });
  expect(await send("GET", `${path}/none`)).toMatchObject({ code: 404 });
  const { body } = await send("GET", `${path}?fieldSelector=metadata.name=etcd-0`);
  expect((body as { items: object[] }).items).toHaveLength(1);
  expect((await server.kubectl(["get", "cs", "scheduler"])).stdout).toMatch(/^scheduler +Unhealthy +it waits/m);
  expect((await send("POST", path, { kind: "ComponentStatus" })).code).toBe(405);
  const { headers } = await server.fetch(path);
  expect(headers.get("warning")).toBe('299 - "v1 ComponentStatus is deprecated in v1.19+"');
});

/** As Go's encoder writes them. */
describe("JSON ends with a line break, and without one where it is indented for a person", () => {
  const table = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
  const answers: [name: string, path: string, headers?: Record<string, string>][] = [
    ["an object", "/api/v1/namespaces/default"],
    ["a list", "/api/v1/namespaces"],
    ["an empty list", "/api/v1/namespaces/default/pods"],
    ["a Table", "/api/v1/namespaces", table],
    ["a refusal", "/api/v1/namespaces/none"],
    ["discovery", "/api/v1"],
    ["discovery of groups", "/apis"],
    ["discovery of a group", "/apis/apps"],
  ];

  test.each(answers)("%s", async (_name, path, headers = {}) => {
    const plain = await (await server.fetch(path, { headers })).text();
    expect(plain).toBe(`${JSON.stringify(JSON.parse(plain))}\n`);
    const person = await (await server.fetch(path, { headers: { ...headers, "user-agent": "curl/8.5.0" } })).text();
    expect(person).toBe(JSON.stringify(JSON.parse(person), undefined, 2));
  });
});

test.each(["/", "/version"])("%s is indented for everybody", async (path) => {
  const text = await (await server.fetch(path)).text();
  expect(text).toBe(JSON.stringify(JSON.parse(text), undefined, 2));
});

test.each<[query: string, accept: string, userAgent: string, isIndented: boolean]>([
  ["?pretty=true", "*/*", "client", true],
  ["?pretty=T", "*/*", "client", true],
  ["?pretty=yes", "*/*", "curl/8.5.0", false],
  ["?pretty=0", "*/*", "curl/8.5.0", false],
  ["?pretty=", "*/*", "client", false],
  ["?pretty=", "*/*", "curl/8.5.0", true],
  ["?pretty=false", "application/json;pretty=1", "client", true],
])("a request %s for %s by %s: indented %p", async (query, accept, userAgent, isIndented) => {
  const headers = { accept, "user-agent": userAgent };
  const text = await (await server.fetch(`/api/v1/namespaces/default${query}`, { headers })).text();
  expect(text.startsWith("{\n")).toBe(isIndented);
});

test("text that is no JSON is not to be taken for anything else", async () => {
  const response = await server.fetch("/no/such/path");
  expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([
    404,
    "text/plain; charset=utf-8",
    "404 page not found\n",
  ]);
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
});

test("the root lists the paths that are served", async () => {
  const { code, body } = await send("GET", "/");
  const { paths } = body as { paths: string[] };
  expect(code).toBe(200);
  for (const path of ["/api", "/api/v1", "/apis", "/apis/", "/apis/apps", "/apis/autoscaling/v2", "/openapi/v2"])
    expect(paths).toContain(path);
  for (const path of ["/healthz", "/livez/etcd", "/readyz/etcd-readiness", "/metrics", "/openapi/v3", "/version"])
    expect(paths).toContain(path);
  expect(paths).toEqual([...paths].sort());
});

test("a list cannot be gone on with for longer than five minutes, unless anew", async () => {
  let now_ms = Date.now();
  const store = openMemoryStore();
  const guards = {
    authenticator: { authenticate: async () => undefined },
    authorizer: { authorize: async () => ({ outcome: "allow" as const, reason: "" }) },
    admission: [],
  };
  const api = new ApiServer({ store, declarations: builtinDeclarations, guards: () => guards, now_ms: () => now_ms });
  await api.start();
  const client = api.client(admin);
  for (const name of ["a", "b", "c", "d", "e", "f"]) {
    await client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "pages" } });
  }
  const page = (more: object) => client.list(configMaps, { namespace: "pages", limit: 2, ...more });
  const first = await page({});
  now_ms += 200_000;
  const second = await page({ continue: first.metadata.continue });
  expect(second.items.map(({ metadata }) => metadata.name)).toEqual(["c", "d"]);
  now_ms += 200_000;
  const error = (await rejection(page({ continue: second.metadata.continue }))) as StatusError;
  expect([error.code, error.reason]).toEqual([410, "Expired"]);
  const rest = await page({ continue: error.toStatus().metadata?.continue });
  expect(rest.items.map(({ metadata }) => metadata.name)).toEqual(["e", "f"]);
  // Nobody has written meanwhile, and still it is another list.
  expect(Number(rest.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
  api.stop();
  await store.close();
});

describe("apply", () => {
  const apply = async (yaml: string, validation: string) => {
    const path = `/api/v1/namespaces/test/configmaps/applied?fieldManager=me&fieldValidation=${validation}`;
    const headers = { "content-type": "application/apply-patch+yaml" };
    const response = await server.fetch(path, { method: "PATCH", headers, body: yaml });
    return { warning: response.headers.get("warning"), ...((await response.json()) as { message?: string }) };
  };
  const head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\n";

  test("refuses fields that the schema does not have, however it validates", async () => {
    for (const validation of ["Strict", "Ignore"]) {
      expect((await apply(`${head}unknown: 1\n`, validation)).message).toContain(
        ".unknown: field not declared in schema",
      );
    }
  });

  test("tells of keys that are given twice", async () => {
    const twice = `${head}data:\n  a: "1"\n  a: "2"\n`;
    expect((await apply(twice, "Strict")).message).toBe(
      "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n" +
        '  line 7: key "a" already set in map',
    );
    expect((await apply(twice, "Warn")).warning).toContain("line 7: key");
  });
});

test("a Binding puts a pod on a node", async () => {
  const spec = { containers: [{ name: "c", image: "example.com/c" }] };
  const pod = await server.client.create(pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "bound", namespace: "test" },
    spec,
  } as Pod);
  const path = "/api/v1/namespaces/test/bindings";
  const metadata = { name: "bound", uid: pod.metadata.uid };
  const body = { apiVersion: "v1", kind: "Binding", metadata, target: { kind: "Node", name: "one" } };
  expect(await send("POST", path, body)).toMatchObject({ code: 201, body: { kind: "Status", status: "Success" } });
  expect((await server.client.get(pods, { namespace: "test", name: "bound" })).spec?.nodeName).toBe("one");
  expect((await send("POST", path, body)).code).toBe(409);
  expect((await send("POST", path, { ...body, metadata: { name: "none" } })).code).toBe(404);
  expect((await send("GET", path)).code).toBe(405);
});

test("what clients before v1.18 could ask for, an object without what a cluster adds, is refused and not passed over", async () => {
  const why = "the export parameter, deprecated since v1.14, is no longer supported";
  const base = "/api/v1/namespaces/default";
  for (const path of [base, `${base}/status`, `${base}/replicationcontrollers/none/scale`])
    expect(await send("GET", `${path}?export=true`)).toMatchObject({ code: 400, body: { message: why } });
  expect((await send("GET", `${base}?export=`)).code).toBe(400);
  expect((await send("GET", `${base}?export=false`)).code).toBe(200);
  expect((await send("GET", "/api/v1/namespaces?export=true")).code).toBe(200);
});

test("what is only posted has no paths of single objects", async () => {
  const bindings = "/api/v1/namespaces/test/bindings";
  const message = "the server could not find the requested resource";
  for (const method of ["GET", "PUT", "DELETE", "POST"])
    expect(await send(method, `${bindings}/one`)).toMatchObject({ code: 404, body: { message } });
  expect((await send("GET", bindings)).code).toBe(405);
});
