/** CustomResourceDefinitions, whose documents are compared too. */
import type { Fetch } from "./documents.ts";

const group = "stable.example.com";

/** Paths that are there once all is published. */
export const definedPaths = [
  { document: `apis/${group}/v1`, path: `/apis/${group}/v1/things` },
  { document: `apis/${group}/v1beta1`, path: `/apis/${group}/v1beta1/things` },
  { document: `apis/${group}/v1`, path: `/apis/${group}/v1/orbs` },
];

const spec = {
  type: "object",
  required: ["name", "maybe"],
  properties: {
    name: { type: "string", pattern: "^a", default: "abc" },
    maybe: { description: "Perhaps.", type: "string", nullable: true },
    replicas: { type: "integer", format: "int32", minimum: 0 },
    port: { "x-kubernetes-int-or-string": true },
    either: {
      type: "object",
      oneOf: [{ required: ["a"] }, { required: ["b"] }],
      properties: { a: { type: "string" } },
    },
    open: { type: "object", "x-kubernetes-preserve-unknown-fields": true, properties: { x: { type: "string" } } },
    list: {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["key"],
      items: { type: "object", required: ["key"], properties: { key: { type: "string" } } },
    },
    map: { type: "object", additionalProperties: { type: "integer" } },
    some: { type: "string", enum: ["one", "two"] },
    ruled: { type: "string", maxLength: 9, "x-kubernetes-validations": [{ rule: "self != 'x'", message: "no x" }] },
    pod: {
      type: "object",
      "x-kubernetes-embedded-resource": true,
      "x-kubernetes-preserve-unknown-fields": true,
    },
    whole: { type: "object", "x-kubernetes-embedded-resource": true, properties: { spec: { type: "object" } } },
  },
};

const version = {
  served: true,
  subresources: {
    status: {},
    scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
  },
  selectableFields: [{ jsonPath: ".spec.name" }],
  schema: {
    openAPIV3Schema: {
      description: "A thing.",
      type: "object",
      properties: { spec, status: { type: "object", properties: { replicas: { type: "integer" } } } },
    },
  },
};

const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

function definition(scope: string, kind: string, versions: readonly object[]): object {
  const plural = `${kind.toLowerCase()}s`;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: { group, scope, names: { plural, kind }, versions },
  };
}

const definitions = [
  definition("Namespaced", "Thing", [
    { name: "v1", storage: true, ...version },
    { name: "v1beta1", storage: false, served: true, schema: { openAPIV3Schema: open } },
  ]),
  definition("Cluster", "Orb", [{ name: "v1", storage: true, served: true, schema: { openAPIV3Schema: open } }]),
];

export async function createDefinitions(fetched: Fetch): Promise<void> {
  for (const body of definitions) {
    const response = await fetched("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.status !== 201) throw new Error(await response.text());
  }
}
