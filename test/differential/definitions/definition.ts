/** CustomResourceDefinitions of the group f.example.com, and requests about them. */
import type { OrderedRequest } from "../in-order.ts";

export type Json = Readonly<Record<string, unknown>>;

export const group = "f.example.com";
export const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

export const object = (properties: Json, more: Json = {}): Json => ({ type: "object", properties, ...more });
export const list = (items: Json, more: Json = {}): Json => ({ type: "array", items, ...more });
export const text = (maxLength?: number): Json => ({ type: "string", ...(maxLength !== undefined && { maxLength }) });
export const number: Json = { type: "integer" };
export const ruled = (schema: Json, ...rules: readonly (string | Json)[]): Json => ({
  ...schema,
  "x-kubernetes-validations": rules.map((rule) => (typeof rule === "string" ? { rule } : rule)),
});

const kindOf = (plural: string): string => plural.slice(0, 1).toUpperCase() + plural.slice(1, -1);

/** A definition with one version, `spec` being the schema of its objects' spec. */
export function definition(plural: string, spec: Json, version: Json = {}, more: Json = {}): Json {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Cluster",
      names: { plural, kind: kindOf(plural) },
      versions: [
        { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: object({ spec }) }, ...version },
      ],
      ...more,
    },
  };
}

/** Judges a definition without making it. */
export const judged = (name: string, body: Json): OrderedRequest => ({
  name,
  method: "POST",
  path: `${definitions}?dryRun=All`,
  body,
});

/** Makes a definition and waits until its objects are served. */
export function made(plural: string, spec: Json, version: Json = {}): OrderedRequest[] {
  return [
    { name: `${plural} made`, method: "POST", path: definitions, body: definition(plural, spec, version), until: 201 },
    { name: `${plural} served`, method: "GET", path: `/apis/${group}/v1/${plural}`, until: 200 },
  ];
}

/** Requests about objects of a kind. */
export function objectsOf(plural: string) {
  const path = `/apis/${group}/v1/${plural}`;
  const bodyOf = (name: string, spec: unknown, more: Json): Json => ({
    apiVersion: `${group}/v1`,
    kind: kindOf(plural),
    metadata: { name },
    spec,
    ...more,
  });
  return {
    path,
    /** Whether such an object may be made. */
    tried: (name: string, spec: unknown, more: Json = {}): OrderedRequest => ({
      name: `${plural}: ${name}`,
      method: "POST",
      path: `${path}?dryRun=All`,
      body: bodyOf("tried", spec, more),
    }),
    create: (object: string, spec: unknown, more: Json = {}): OrderedRequest => ({
      name: `${plural}: create ${object}`,
      method: "POST",
      path,
      body: bodyOf(object, spec, more),
    }),
    /** A merge patch that is tried. */
    patch: (name: string, object: string, fields: Json, below = ""): OrderedRequest => ({
      name: `${plural}: ${name}`,
      method: "PATCH",
      path: `${path}/${object}${below}?dryRun=All`,
      type: "application/merge-patch+json",
      body: fields,
    }),
    get: (name: string, query: string): OrderedRequest => ({
      name: `${plural}: ${name}`,
      method: "GET",
      path: path + query,
    }),
  };
}

/** Changes a definition by a merge patch, without storing it. */
export const changed = (name: string, plural: string, spec: Json): OrderedRequest => ({
  name: `${plural}: ${name}`,
  method: "PATCH",
  path: `${definitions}/${plural}.${group}?dryRun=All`,
  type: "application/merge-patch+json",
  body: { spec },
});
