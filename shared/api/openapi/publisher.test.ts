import { describe, expect, test } from "bun:test";
import { WireReader, wireBytes } from "../codec/wire.ts";
import type { JSONSchemaProps } from "../types/apiextensions-v1.generated.ts";
import { type Descriptions, noDescriptions } from "./descriptions.ts";
import type { PublishedResource } from "./published-resource.ts";
import { OpenApiPublisher, type OpenApiRequest } from "./publisher.ts";

const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const status = { name: "status", verbs: ["get", "patch", "update"] };
const scale = { name: "scale", verbs: ["get", "update"], body: { group: "autoscaling", version: "v1", kind: "Scale" } };

const builtIn: PublishedResource[] = [
  {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    namespaced: true,
    verbs,
    subresources: [
      status,
      {
        name: "exec",
        verbs: ["get", "create"],
        body: { group: "", version: "v1", kind: "PodExecOptions" },
        connects: true,
      },
    ],
  },
  { group: "", version: "v1", kind: "Node", plural: "nodes", namespaced: false, verbs, subresources: [] },
  {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    namespaced: true,
    verbs,
    subresources: [status, scale],
  },
];

function custom(schema: JSONSchemaProps | undefined, more: Partial<PublishedResource> = {}): PublishedResource {
  return {
    group: "stable.example.com",
    version: "v1",
    kind: "Thing",
    plural: "things",
    namespaced: true,
    verbs,
    subresources: [],
    custom: { schema },
    ...more,
  };
}

function publisherOf(resources: readonly PublishedResource[]) {
  return new OpenApiPublisher({
    version: "v1.35.4",
    resources: () => resources,
    descriptions: async () => noDescriptions,
  });
}

const plainGet = { method: "GET", headers: {} } as const;

async function get(publisher: OpenApiPublisher, request: Partial<OpenApiRequest> & Pick<OpenApiRequest, "path">) {
  const response = await publisher.respond({ ...plainGet, ...request });
  if (!response) throw new Error(`no answer for ${request.path}`);
  return response;
}

// biome-ignore lint/suspicious/noExplicitAny: documents are walked freely
async function getJson(publisher: OpenApiPublisher, path: string): Promise<any> {
  return JSON.parse(new TextDecoder().decode((await get(publisher, { path })).body));
}

describe("OpenAPI 3", () => {
  const publisher = publisherOf(builtIn);

  test("the index names a document per group version and per root, by its hash", async () => {
    const { paths } = await getJson(publisher, "/openapi/v3");
    expect(Object.keys(paths)).toEqual([
      ".well-known/openid-configuration",
      "api",
      "api/v1",
      "apis",
      "apis/apps",
      "apis/apps/v1",
      "openid/v1/jwks",
      "version",
    ]);
    expect(paths["apis/apps/v1"].serverRelativeURL).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]+$/);
  });

  test("a document has the paths of its resources and every model that they reach", async () => {
    const document = await getJson(publisher, "/openapi/v3/apis/apps/v1");
    const item = document.paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    expect(Object.keys(item).sort()).toEqual(["delete", "get", "parameters", "patch", "put"]);
    expect(item.patch).toMatchObject({
      operationId: "patchAppsV1NamespacedDeployment",
      "x-kubernetes-action": "patch",
      "x-kubernetes-group-version-kind": { group: "apps", version: "v1", kind: "Deployment" },
    });
    // This is how kubectl finds out that the server validates fields.
    expect(item.patch.parameters.map(({ name }: { name: string }) => name)).toContain("fieldValidation");
    expect(document.paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"].put.operationId).toBe(
      "replaceAppsV1NamespacedDeploymentScale",
    );
    const { schemas } = document.components;
    expect(schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]).toEqual([
      { group: "apps", kind: "Deployment", version: "v1" },
    ]);
    const text = JSON.stringify(document);
    for (const [, name = ""] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      expect(schemas[name], name).toBeDefined();
    }
  });

  test("fields say how they merge and what they default to", async () => {
    const { schemas } = (await getJson(publisher, "/openapi/v3/api/v1")).components;
    const { properties } = schemas["io.k8s.api.core.v1.Container"];
    expect(properties.ports).toMatchObject({
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
      "x-kubernetes-patch-merge-key": "containerPort",
      "x-kubernetes-patch-strategy": "merge",
    });
    expect(schemas["io.k8s.api.core.v1.ContainerPort"].properties.protocol.default).toBe("TCP");
    expect(schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"].oneOf).toEqual([
      { type: "string" },
      { type: "number" },
    ]);
  });

  test.each([
    ["Thing", "create a Thing"],
    ["Orb", "create an Orb"],
    ["Prometheus", "create Prometheus"],
    ["EndpointClass", "create an EndpointClass"],
  ])("what makes a %s is described", async (kind, description) => {
    const { paths } = await getJson(
      publisherOf([custom(undefined, { kind })]),
      "/openapi/v3/apis/stable.example.com/v1",
    );
    expect(paths["/apis/stable.example.com/v1/namespaces/{namespace}/things"].post.description).toBe(description);
  });

  test("models and fields are described, references too", async () => {
    const descriptions: Descriptions = {
      of: (model) =>
        model === "api.core.v1.Container" ? { "": "A container.", name: "Its name.", lifecycle: "Hooks." } : {},
    };
    const described = new OpenApiPublisher({
      version: "v1.35.4",
      resources: () => builtIn,
      descriptions: async () => descriptions,
    });
    const container = (await getJson(described, "/openapi/v3/api/v1")).components.schemas[
      "io.k8s.api.core.v1.Container"
    ];
    expect(container.description).toBe("A container.");
    expect(container.properties.name.description).toBe("Its name.");
    expect(container.properties.lifecycle).toEqual({
      description: "Hooks.",
      allOf: [{ $ref: "#/components/schemas/io.k8s.api.core.v1.Lifecycle" }],
    });
  });

  test("hashes, tags and encodings", async () => {
    const path = "/openapi/v3/api/v1";
    const plain = await get(publisher, { path });
    const etag = plain.headers["Etag"] ?? "";
    const hash = etag.slice(1, -1);
    expect((await get(publisher, { path, headers: { "if-none-match": etag } })).status).toBe(304);
    expect((await get(publisher, { path, hash })).headers["Cache-Control"]).toBe("public, immutable");
    expect(await get(publisher, { path, hash: "OLD" })).toMatchObject({
      status: 301,
      headers: { Location: `${path}?hash=${hash}` },
    });
    expect((await get(publisher, { path, headers: { accept: "application/xml" } })).status).toBe(406);
    const compressed = await get(publisher, { path, headers: { "accept-encoding": "gzip, deflate" } });
    expect(compressed.headers["Content-Encoding"]).toBe("gzip");
    expect(Bun.gunzipSync(new Uint8Array(compressed.body ?? []))).toEqual(new Uint8Array(plain.body ?? []));
    expect(await publisher.respond({ ...plainGet, path: "/openapi/v3/apis/nowhere/v1" })).toBeUndefined();
    expect(await publisher.respond({ ...plainGet, path: "/version" })).toBeUndefined();
  });

  test("a new custom resource changes no other document", async () => {
    let resources = builtIn;
    const changing = new OpenApiPublisher({ version: "v1.35.4", resources: () => resources });
    const before = (await getJson(changing, "/openapi/v3")).paths;
    resources = [...builtIn, custom({ type: "object" })];
    const after = (await getJson(changing, "/openapi/v3")).paths;
    expect(after).toMatchObject(before);
    expect(Object.keys(after)).toContain("apis/stable.example.com/v1");
  });

  test("whoever asks for the index with the date of an answer of the same second gets what has come since", async () => {
    const told = (await get(publisher, { path: "/openapi/v3" })).headers["Last-Modified"];
    const headers = { "if-modified-since": told };
    expect((await get(publisher, { path: "/openapi/v3", headers })).status).toBe(200);
    const later = { "if-modified-since": new Date(Date.now() + 3_600_000).toUTCString() };
    expect((await get(publisher, { path: "/openapi/v3", headers: later })).status).toBe(304);
  });

  test("protobuf has the same paths and models, by names with and without @", async () => {
    const path = "/openapi/v3/api/v1";
    const document = await getJson(publisher, path);
    for (const separator of ["@", "."]) {
      const accept = `application/com.github.proto-openapi.spec.v3${separator}v1.0+protobuf`;
      const { body, headers } = await get(publisher, { path, headers: { accept } });
      expect(headers["Content-Type"]).toBe(accept.replace("@", "."));
      expect(headers["Etag"]).toBe((await get(publisher, { path })).headers["Etag"] ?? "");
      const reader = new WireReader(Buffer.from(body ?? []));
      const members: string[][] = [];
      for (const number of [1, 2, 4, 5]) {
        expect(reader.tag()).toEqual({ number, wireType: wireBytes });
        const message = reader.message();
        if (number === 4) members.push(entryNames(message));
        if (number !== 5) continue;
        message.tag();
        members.push(entryNames(message.message()));
      }
      expect(members).toEqual([Object.keys(document.paths), Object.keys(document.components.schemas)]);
    }
  });
});

describe("OpenAPI 2", () => {
  test("JSON has no defaults, and refers to its own definitions", async () => {
    const document = await getJson(publisherOf(builtIn), "/openapi/v2");
    expect(document.swagger).toBe("2.0");
    const port = document.definitions["io.k8s.api.core.v1.ContainerPort"];
    expect(port.properties.protocol).toEqual({ type: "string", enum: ["SCTP", "TCP", "UDP"] });
    expect(document.paths["/api/v1/namespaces/{namespace}/pods"].post.parameters[0]).toEqual({
      name: "body",
      in: "body",
      required: true,
      schema: { $ref: "#/definitions/io.k8s.api.core.v1.Pod" },
    });
  });

  test("protobuf has the same paths and definitions", async () => {
    const publisher = publisherOf(builtIn);
    const document = await getJson(publisher, "/openapi/v2");
    const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const { body, headers } = await get(publisher, { path: "/openapi/v2", headers: { accept } });
    expect(headers["Content-Type"]).toBe(accept.replace("@", "."));
    const names = new Map<number, string[]>();
    const reader = new WireReader(Buffer.from(body ?? []));
    while (!reader.done) {
      const { number, wireType } = reader.tag();
      if (wireType !== wireBytes || (number !== 8 && number !== 9)) reader.skip(wireType);
      else names.set(number, entryNames(reader.message()));
    }
    expect(names.get(8)).toEqual(Object.keys(document.paths));
    expect(names.get(9)).toEqual(Object.keys(document.definitions));
  });
});

test("a custom kind whose model would have a built-in one's name has another in the document of all", async () => {
  const schema: JSONSchemaProps = { type: "object", properties: { mine: { type: "string" } } };
  const own = { group: "core.api.k8s.io", kind: "Pod", plural: "pods" };
  const meta = { group: "meta.apis.pkg.apimachinery.k8s.io", kind: "ObjectMeta", plural: "objectmetas" };
  const publisher = publisherOf([...builtIn, custom(schema, own), custom(schema, meta)]);
  const { definitions, paths } = await getJson(publisher, "/openapi/v2");
  const [pod, objectMeta] = ["io.k8s.api.core.v1.Pod", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
  const fieldsOf = (model: string) => Object.keys(definitions[model].properties);
  expect(fieldsOf(pod)).toContain("spec");
  expect(fieldsOf(`${pod}_v2`)).toEqual(["mine", "apiVersion", "kind", "metadata"]);
  expect(fieldsOf(objectMeta)).toContain("labels");
  expect(fieldsOf(`${objectMeta}_v2`)).toContain("mine");
  const given = (path: string) => paths[path].get.responses[200].schema.$ref;
  expect(given("/api/v1/pods")).toBe(`#/definitions/${pod}List`);
  expect(given("/api/v1/namespaces/{namespace}/pods/{name}")).toBe(`#/definitions/${pod}`);
  expect(given("/apis/core.api.k8s.io/v1/pods")).toBe(`#/definitions/${pod}List_v2`);
  expect(given("/apis/core.api.k8s.io/v1/namespaces/{namespace}/pods/{name}")).toBe(`#/definitions/${pod}_v2`);
  expect(definitions[`${pod}List_v2`].properties.items.items.$ref).toBe(`#/definitions/${pod}_v2`);
  expect(definitions[`${pod}_v2`].properties.metadata.$ref).toBe(`#/definitions/${objectMeta}`);
  // Each group version has a document of its own.
  const { components } = await getJson(publisher, "/openapi/v3/apis/core.api.k8s.io/v1");
  expect(Object.keys(components.schemas[pod].properties)).toContain("mine");
});

test("in protobuf extensions are YAML, with the members in upstream's order", async () => {
  const textOf = async (path: string, version: string) => {
    const accept = `application/com.github.proto-openapi.spec.${version}@v1.0+protobuf`;
    return Buffer.from((await get(publisherOf(builtIn), { path, headers: { accept } })).body ?? []).toString("latin1");
  };
  const old = await textOf("/openapi/v2", "v2");
  expect(old).toContain("group: apps\nkind: Deployment\nversion: v1\n");
  expect(old).toContain("- containerPort\n- protocol\n");
  expect(await textOf("/openapi/v3/apis/apps/v1", "v3")).toContain("group: apps\nversion: v1\nkind: Deployment\n");
});

function entryNames(message: WireReader): string[] {
  const names: string[] = [];
  while (!message.done) {
    message.tag();
    const entry = message.message();
    entry.tag();
    names.push(entry.string());
  }
  return names;
}

describe("custom resources", () => {
  const schema: JSONSchemaProps = {
    description: "A thing.",
    type: "object",
    properties: {
      spec: {
        description: "What it should be.",
        type: "object",
        required: ["name", "maybe"],
        properties: {
          name: { type: "string", pattern: "^a", default: "abc" },
          maybe: { type: "string", nullable: true },
          port: { "x-kubernetes-int-or-string": true },
          open: { type: "object", "x-kubernetes-preserve-unknown-fields": true, properties: { x: { type: "string" } } },
          either: { type: "object", oneOf: [{ required: ["a"] }, { required: ["b"] }] },
          list: { type: "array", items: { type: "object", properties: { key: { type: "string" } } } },
          pod: { type: "object", "x-kubernetes-embedded-resource": true },
        },
      },
    },
  };
  const name = "com.example.stable.v1.Thing";
  const publisher = publisherOf([custom(schema, { custom: { schema, selectableFields: [".spec.name"] } })]);

  test("version 3 has the schema as written, and what every object has", async () => {
    const { schemas } = (await getJson(publisher, "/openapi/v3/apis/stable.example.com/v1")).components;
    const { spec, ...others } = schemas[name].properties;
    expect(Object.keys(others)).toEqual(["apiVersion", "kind", "metadata"]);
    expect(spec.description).toBe("What it should be.");
    expect(spec.properties.name).toEqual({ type: "string", pattern: "^a", default: "abc" });
    expect(spec.properties.maybe).toEqual({ type: "string", nullable: true });
    expect(spec.properties.port.anyOf).toEqual([{ type: "integer" }, { type: "string" }]);
    expect(spec.properties.either.oneOf).toHaveLength(2);
    expect(Object.keys(spec.properties.pod.properties)).toEqual(["apiVersion", "kind", "metadata"]);
    expect(schemas[name]["x-kubernetes-group-version-kind"]).toEqual([
      { group: "stable.example.com", kind: "Thing", version: "v1" },
    ]);
    expect(schemas[name]["x-kubernetes-selectable-fields"]).toEqual([{ fieldPath: "spec.name" }]);
    expect(schemas[`${name}List`].properties.items.items.$ref).toBe(`#/components/schemas/${name}`);
  });

  test("version 2 leaves out what it cannot say", async () => {
    const { definitions } = await getJson(publisher, "/openapi/v2");
    const { spec } = definitions[name].properties;
    expect(spec.required).toEqual(["name"]);
    expect(spec.properties.name).toEqual({ type: "string", pattern: "^a" });
    expect(spec.properties.maybe).toEqual({});
    expect(spec.properties.port).toEqual({ "x-kubernetes-int-or-string": true });
    expect(spec.properties.open).toEqual({ "x-kubernetes-preserve-unknown-fields": true });
    expect(spec.properties.either).toEqual({ type: "object" });
  });

  test("an open root is a bare object in version 2, no schema one in both", async () => {
    const open = publisherOf([custom({ type: "object", "x-kubernetes-preserve-unknown-fields": true })]);
    const gvk = [{ group: "stable.example.com", kind: "Thing", version: "v1" }];
    expect((await getJson(open, "/openapi/v2")).definitions[name]).toEqual({
      type: "object",
      "x-kubernetes-group-version-kind": gvk,
    });
    const none = publisherOf([custom(undefined)]);
    const { schemas } = (await getJson(none, "/openapi/v3/apis/stable.example.com/v1")).components;
    expect(schemas[name]).toEqual({ type: "object", "x-kubernetes-group-version-kind": gvk });
  });

  test("a group that ends in k8s.io is one too", async () => {
    const resource = custom(
      { type: "object" },
      { group: "gateway.networking.k8s.io", kind: "Gateway", plural: "gateways" },
    );
    const { schemas } = (await getJson(publisherOf([resource]), "/openapi/v3/apis/gateway.networking.k8s.io/v1"))
      .components;
    expect(Object.keys(schemas)).toContain("io.k8s.networking.gateway.v1.GatewayList");
  });
});
