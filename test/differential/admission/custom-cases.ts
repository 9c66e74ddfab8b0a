/** A custom kind in two versions, and what webhooks and policies make of its objects. */
import type { Sent } from "./webhook-cases.ts";

const group = "hooked.example.com";
const spec = {
  type: "object",
  properties: {
    size: { type: "integer", default: 1, maximum: 9 },
    name: { type: "string" },
    list: { type: "array", items: { type: "string" } },
    free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  },
};
const version = (name: string, storage: boolean): object => ({
  name,
  storage,
  served: true,
  subresources: { status: {} },
  schema: {
    openAPIV3Schema: {
      type: "object",
      properties: { spec, status: { type: "object", properties: { phase: { type: "string" } } } },
    },
  },
});

export const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `things.${group}` },
  spec: {
    group,
    scope: "Namespaced",
    names: { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" },
    versions: [version("v1", true), version("v2", false)],
  },
};

export const customPath = (name: string): string => `/apis/${group}/${name}/namespaces/hooked/things`;

const rule = (apiVersion: string) => ({
  apiGroups: [group],
  apiVersions: [apiVersion],
  operations: ["CREATE", "UPDATE"],
  resources: ["things", "things/status"],
});

/** Rules of the webhooks that patch them as their annotation says. */
export const customRules = { own: rule("v1"), other: rule("v2") };

const thing = (of: string, patch: unknown, fields: object = { spec: {} }): object => ({
  apiVersion: `${group}/v1`,
  kind: "Thing",
  metadata: { name: "x", labels: { case: of }, annotations: { patch: JSON.stringify(patch) } },
  ...fields,
});

const patches: Readonly<Record<string, unknown>> = {
  nothing: [],
  known: [{ op: "add", path: "/spec/name", value: "n" }],
  unknown: [{ op: "add", path: "/spec/odd", value: "n" }],
  "unknown above": [{ op: "add", path: "/odd", value: "n" }],
  free: [{ op: "add", path: "/spec/free", value: { a: null, b: 1.0, c: {} } }],
  "wrong type": [{ op: "add", path: "/spec/size", value: "x" }],
  "wrong spec": [{ op: "add", path: "/spec", value: "x" }],
  "too large": [{ op: "add", path: "/spec/size", value: 10 }],
  null: [{ op: "add", path: "/spec/size", value: null }],
  "no default": [{ op: "remove", path: "/spec/size" }],
  "null item": [{ op: "add", path: "/spec/list", value: [null, "a"] }],
  status: [{ op: "add", path: "/status", value: { phase: "p" } }],
  "wrong labels": [{ op: "add", path: "/metadata/labels/a", value: 7 }],
  "wrong metadata": [{ op: "add", path: "/metadata", value: "x" }],
  "no metadata": [{ op: "remove", path: "/metadata" }],
  "unknown metadata": [{ op: "add", path: "/metadata/odd", value: 7 }],
  "other name": [{ op: "replace", path: "/metadata/name", value: "y" }],
  "other version": [{ op: "replace", path: "/apiVersion", value: `${group}/v2` }],
  "unserved version": [{ op: "replace", path: "/apiVersion", value: `${group}/v3` }],
  "other kind": [{ op: "replace", path: "/kind", value: "Odd" }],
  "no kind": [{ op: "remove", path: "/kind" }],
  "no version": [{ op: "remove", path: "/apiVersion" }],
  "number kind": [{ op: "replace", path: "/kind", value: 7 }],
  "whole list": [{ op: "replace", path: "", value: [] }],
};

export const customRequests: readonly Sent[] = [
  ...["custom-own", "custom-other"].flatMap((of) =>
    Object.entries(patches).map(
      ([name, steps]): Sent => ({
        name: `${of} ${name}`,
        path: `${customPath("v1")}?dryRun=All`,
        body: thing(of, steps),
      }),
    ),
  ),
  {
    name: "custom shown",
    path: `${customPath("v1")}?dryRun=All`,
    body: thing("custom-other", [], { spec: { name: "a", odd: 1, free: { z: 1 } }, status: { phase: "p" } }),
    shows: "requests",
  },
  { name: "custom made", path: customPath("v1"), body: thing("none", [], { spec: { name: "a" } }) },
  {
    name: "custom status",
    method: "PATCH",
    path: `${customPath("v2")}/x/status`,
    type: "application/merge-patch+json",
    body: { metadata: { labels: { case: "custom-own" } }, status: { phase: "q" } },
    shows: "requests",
  },
];
