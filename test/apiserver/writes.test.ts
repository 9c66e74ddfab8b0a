/** What clients rely on when they create and update, beyond kubectl's daily use. */
import { describe, expect, test } from "bun:test";
import { encodeProtobuf } from "#shared/api/codec/protobuf.ts";
import { type Answer, base, configMap, startWire } from "./wire.ts";

const wire = startWire();
const { send } = wire;

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

  test("labels a namespace by its name, also by one that was made for it, which its creator does not own", async () => {
    const create = (metadata: object) =>
      send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata });
    const generated = (await create({ generateName: "gen-", labels: { a: "b" } })).body.metadata;
    expect(generated.labels).toEqual({ a: "b", "kubernetes.io/metadata.name": generated.name });
    expect(generated.managedFields[0].fieldsV1).toEqual({
      "f:metadata": { "f:generateName": {}, "f:labels": { ".": {}, "f:a": {} } },
    });
    const named = (await create({ name: "labelled", labels: { "kubernetes.io/metadata.name": "other" } })).body
      .metadata;
    expect(named.labels).toEqual({ "kubernetes.io/metadata.name": "labelled" });
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
    const large = send("POST", base, named("large") + entries(20_000), type).then(note("large"));
    await send("GET", "/version").then(note("version"));
    const { code, body } = await large;
    expect(order).toEqual(["version", "large"]);
    expect(code).toBe(201);
    expect(Object.keys(body.data)).toHaveLength(20_000);
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

  test("makes no object grow without end", async () => {
    const path = "/apis/apps/v1/namespaces/test/replicasets";
    const { body: made } = await send("POST", path, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: "large" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } },
      },
    });
    const grow = (name: string) =>
      send(
        "PATCH",
        `${path}/large`,
        {
          spec: { template: { spec: { containers: [{ name: "c", env: [{ name, value: "x".repeat(1_100_000) }] }] } } },
        },
        { "content-type": "application/strategic-merge-patch+json" },
      );
    expect([(await grow("A")).code, (await grow("B")).code]).toEqual([200, 200]);
    const refused = await grow("C");
    expect([refused.code, refused.body.reason, refused.body.message]).toEqual([
      413,
      "RequestEntityTooLarge",
      "Request entity too large: limit is 3145728",
    ]);
    expect((await send("PUT", `${path}/large`, { ...made, metadata: { name: "large" } })).code).toBe(200);
  });
});

test("a binding takes back what room the pod was promised, and its condition stays where it stands", async () => {
  const path = "/api/v1/namespaces/test/pods";
  const spec = { containers: [{ name: "main", image: "example/app:1" }] };
  await send("POST", path, { apiVersion: "v1", kind: "Pod", metadata: { name: "bound" }, spec });
  const condition = (type: string) => ({ type, status: "False", reason: "Told", message: "told" });
  const status = { nominatedNodeName: "a", conditions: [condition("PodScheduled"), condition("example.com/Other")] };
  const merge = { "content-type": "application/merge-patch+json" };
  await send("PATCH", `${path}/bound/status`, { status }, merge);
  const binding = {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name: "bound" },
    target: { kind: "Node", name: "a" },
  };
  expect((await send("POST", `${path}/bound/binding`, binding)).code).toBe(201);
  const { body } = await send("GET", `${path}/bound`);
  expect([body.spec.nodeName, body.status.nominatedNodeName]).toEqual(["a", undefined]);
  expect(
    body.status.conditions.map(({ type, status }: { type: string; status: string }) => `${type}=${status}`),
  ).toEqual(["PodScheduled=True", "example.com/Other=False"]);
});

test("a pod with less than no time to end in has a second, whenever it is written", async () => {
  const path = "/api/v1/namespaces/test/pods";
  const spec = { containers: [{ name: "main", image: "example/app:1" }], terminationGracePeriodSeconds: -1 };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "hasty" }, spec };
  const { body } = await send("POST", path, pod);
  expect(body.spec.terminationGracePeriodSeconds).toBe(1);
  const again = { ...body, spec: { ...body.spec, terminationGracePeriodSeconds: -1 } };
  const put = await send("PUT", `${path}/hasty`, again);
  expect([put.code, put.body.spec?.terminationGracePeriodSeconds]).toEqual([200, 1]);
});

describe("owner references that stand there twice", () => {
  const owner = { apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: "one" };
  const other = { ...owner, controller: true };
  const words = (when: string, uids: string): string =>
    `299 - ".metadata.ownerReferences contains duplicate entries${when}; API server dedups owner references in 1.20+, and may ` +
    `reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${uids}"`;
  const owned = (name: string, ownerReferences: object[]): object =>
    configMap(name, { metadata: { name, ownerReferences } });

  test("are taken once, with a warning", async () => {
    const made = await send("POST", base, owned("owned-twice", [owner, owner, other, owner]));
    expect([made.code, made.body.metadata.ownerReferences]).toEqual([201, [owner, other]]);
    expect(made.headers.get("warning")).toBe(words("", "one, one"));
    const put = await send("PUT", `${base}/owned-twice`, owned("owned-twice", [owner, owner]));
    expect(put.body.metadata.ownerReferences).toEqual([owner]);
    expect(put.headers.get("warning")).toBe(words("", "one"));
  });

  test("in what a patch makes are told when admission has seen it", async () => {
    await send("POST", base, owned("patched", [owner]));
    const patch = [{ op: "add", path: "/metadata/ownerReferences/-", value: owner }];
    const patched = await send("PATCH", `${base}/patched`, patch, { "content-type": "application/json-patch+json" });
    expect(patched.body.metadata.ownerReferences).toEqual([owner]);
    expect(patched.headers.get("warning")).toBe(words(" after mutating admission happens", "one"));
  });
});

test("a version of the core group may stand with a slash before it, as client libraries write it from an empty group", async () => {
  const slashed = { ...configMap("slashed"), apiVersion: "/v1" };
  const made = await send("POST", base, slashed);
  expect([made.code, made.body.apiVersion]).toEqual([201, "v1"]);
  const type = { "content-type": "application/apply-patch+yaml" };
  expect((await send("PATCH", `${base}/slashed?fieldManager=a`, slashed, type)).code).toBe(200);
});

test("a Service that is a mere name keeps no policy for traffic within the cluster, though it is taken", async () => {
  const path = "/api/v1/namespaces/test/services";
  const named = (internalTrafficPolicy: string): object => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "mere-name" },
    spec: { type: "ExternalName", externalName: "a.example", internalTrafficPolicy },
  });
  const made = await send("POST", path, named("Cluster"));
  expect([made.code, made.body.spec.internalTrafficPolicy]).toEqual([201, undefined]);
  const put = await send("PUT", `${path}/mere-name`, named("Local"));
  expect([put.code, put.body.spec.internalTrafficPolicy]).toEqual([200, undefined]);
  expect((await send("PUT", `${path}/mere-name`, named("Everywhere"))).code).toBe(422);
});
