/** Against what upstream's server answered to the same. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestServer, type TestServer } from "../../../../test/support/apiserver.ts";
import { servedDeclarations, servedVersions } from "../runtime-config.ts";

let server: TestServer;
beforeAll(async () => {
  const both = ["resource.k8s.io/v1beta1=true", "resource.k8s.io/v1beta2=true"];
  server = await startTestServer({ declarations: servedDeclarations(servedVersions(both)) });
});
afterAll(() => server.stop());

const root = "/apis/resource.k8s.io";

// biome-ignore lint/suspicious/noExplicitAny: answers of any shape.
const json = async (response: Response): Promise<any> => response.json();
const read = async (path: string) => json(await server.fetch(`${root}/${path}`));
const create = async (path: string, object: object) =>
  json(
    await server.fetch(`${root}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(object),
    }),
  );

const [claims, templates] = ["namespaces/default/resourceclaims", "namespaces/default/resourceclaimtemplates"];
const asked = { deviceClassName: "c", selectors: [{ cel: { expression: "true" } }] };
const counted = { allocationMode: "ExactCount", count: 1 };
const alternatives = [{ name: "z", deviceClassName: "d", ...counted }];
const inBeta = {
  requests: [
    { name: "x", ...asked, ...counted },
    { name: "y", deviceClassName: "", firstAvailable: alternatives },
  ],
};
const inV1 = {
  requests: [
    { name: "x", exactly: { ...asked, ...counted } },
    { name: "y", firstAvailable: alternatives },
  ],
};

test("discovery has the versions that are turned on, the preferred first", async () => {
  const { versions } = await json(await server.fetch(root));
  expect(versions.map(({ version }: { version: string }) => version)).toEqual(["v1", "v1beta2", "v1beta1"]);
  const warned = await server.fetch(`${root}/v1beta1/deviceclasses`);
  expect(warned.headers.get("warning")).toBe(
    '299 - "resource.k8s.io/v1beta1 DeviceClass is deprecated in v1.35+, unavailable in v1.38+"',
  );
  expect((await server.fetch(`${root}/v1beta2/deviceclasses`)).headers.get("warning")).toBeNull();
  const metrics = await (await server.fetch("/metrics")).text();
  const uses = metrics.split("\n").filter((line) => line.startsWith("apiserver_requested_deprecated_apis{"));
  expect(uses).toEqual([
    'apiserver_requested_deprecated_apis{group="resource.k8s.io",version="v1beta1",resource="deviceclasses",subresource="",removed_release="1.38"} 1',
  ]);
  expect(metrics).toContain("# TYPE apiserver_requested_deprecated_apis gauge\n");
});

test("a claim's requests are flat in v1beta1, and in the other versions as they rest", async () => {
  const object = {
    apiVersion: "resource.k8s.io/v1beta1",
    kind: "ResourceClaim",
    metadata: { name: "a" },
    spec: {
      devices: {
        requests: [
          { name: "x", ...asked },
          { name: "y", firstAvailable: [{ name: "z", deviceClassName: "d" }] },
        ],
      },
    },
  };
  const made = await create(`v1beta1/${claims}`, object);
  expect(made.apiVersion).toBe("resource.k8s.io/v1beta1");
  expect(made.spec.devices).toEqual(inBeta);
  expect((await read(`v1beta1/${claims}/a`)).spec.devices).toEqual(inBeta);
  for (const version of ["v1", "v1beta2"]) {
    const { apiVersion, spec } = await read(`${version}/${claims}/a`);
    expect(apiVersion).toBe(`resource.k8s.io/${version}`);
    expect(spec.devices).toEqual(inV1);
  }
});

test("who applied by one version goes on by another", async () => {
  const apply = async (version: string, devices: object, labels: object) => {
    const apiVersion = `resource.k8s.io/${version}`;
    const object = { apiVersion, kind: "ResourceClaim", metadata: { name: "applied", labels }, spec: { devices } };
    const headers = { "content-type": "application/apply-patch+yaml" };
    const path = `${root}/${version}/${claims}/applied?fieldManager=test`;
    return json(await server.fetch(path, { method: "PATCH", headers, body: JSON.stringify(object) }));
  };
  for (const [version, devices] of [
    ["v1beta1", { requests: [{ name: "x", ...asked }] }],
    ["v1beta2", { requests: [{ name: "x", exactly: asked }] }],
    ["v1", { requests: [{ name: "x", exactly: asked }] }],
    ["v1beta1", { requests: [{ name: "x", ...asked }] }],
  ] as const) {
    const { metadata } = await apply(version, devices, { [version]: "by" });
    expect(metadata.labels).toEqual({ [version]: "by" });
    expect(metadata.managedFields).toHaveLength(1);
    expect(metadata.managedFields[0].apiVersion).toBe(`resource.k8s.io/${version}`);
  }
});

test("a template has its claim so too, and faults are told by the fields of what rests", async () => {
  const template = (name: string, spec: object) => ({
    apiVersion: "resource.k8s.io/v1beta1",
    kind: "ResourceClaimTemplate",
    metadata: { name },
    spec: { spec: { devices: spec } },
  });
  await create(`v1beta1/${templates}`, template("a", inBeta));
  expect((await read(`v1beta2/${templates}/a`)).spec.spec.devices).toEqual(inV1);
  expect((await read(`v1beta1/${templates}/a`)).spec.spec.devices).toEqual(inBeta);
  const refused = await create(
    `v1beta1/${templates}`,
    template("b", { requests: [{ name: "x", allocationMode: "All" }] }),
  );
  expect(refused.details.causes).toEqual([
    {
      reason: "FieldValueRequired",
      message: "Required value",
      field: "spec.spec.devices.requests[0].exactly.deviceClassName",
    },
  ]);
});

test("a slice's devices have what they are in `basic` in v1beta1", async () => {
  const basic = { attributes: { a: { int: 1 } }, capacity: { m: { value: "1Gi" } } };
  const spec = {
    driver: "d.example.com",
    pool: { name: "p", generation: 1, resourceSliceCount: 1 },
    nodeName: "n",
    devices: [{ name: "e" }, { name: "f", basic }],
  };
  const object = { apiVersion: "resource.k8s.io/v1beta1", kind: "ResourceSlice", metadata: { name: "a" }, spec };
  const made = await create("v1beta1/resourceslices", object);
  expect(made.spec).toEqual({
    ...spec,
    devices: [
      { name: "e", basic: {} },
      { name: "f", basic },
    ],
  });
  expect((await read("v1/resourceslices/a")).spec).toEqual({
    ...spec,
    devices: [{ name: "e" }, { name: "f", ...basic }],
  });
  for (const version of ["v1", "v1beta1", "v1beta2"]) {
    const { message } = await read(`${version}/resourceslices?fieldSelector=a%3Db`);
    expect(message).toBe(`field label not supported for resource.k8s.io/${version}, Kind=ResourceSlice: a`);
  }
});

test("a class is of one structure in all versions, and OpenAPI has those", async () => {
  const object = {
    apiVersion: "resource.k8s.io/v1beta2",
    kind: "DeviceClass",
    metadata: { name: "c" },
    spec: { selectors: [{ cel: { expression: "true" } }] },
  };
  await create("v1beta2/deviceclasses", object);
  for (const version of ["v1", "v1beta1", "v1beta2"])
    expect((await read(`${version}/deviceclasses/c`)).spec).toEqual(object.spec);
  const { components } = await json(await server.fetch("/openapi/v3/apis/resource.k8s.io/v1beta1"));
  expect(Object.keys(components.schemas["io.k8s.api.resource.v1beta1.Device"].properties)).toEqual(["name", "basic"]);
});
