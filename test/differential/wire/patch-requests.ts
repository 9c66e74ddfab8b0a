/** All patch types on an object of every kind, its status and its scale. Everything is a dry run but who owns what. */
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { type Held, held } from "./world.ts";

const merge = "application/merge-patch+json";
const strategic = "application/strategic-merge-patch+json";
const json = "application/json-patch+json";
const apply = "application/apply-patch+yaml";

const metadataOf = ({ object }: Held): Json => object["metadata"] as Json;

function patches(
  each: Held,
): readonly (readonly [what: string, type: string, query: string, body: WireRequest["body"]])[] {
  const { apiVersion, kind } = each.object as { apiVersion: string; kind: string };
  const { name } = metadataOf(each);
  const labelled = (labels: unknown): Json => ({ metadata: { labels } });
  const applied = (more: Json): Json => ({ apiVersion, kind, metadata: { name }, ...more });
  return [
    ["a label", merge, "", labelled({ a: "b" })],
    ["a bad label", merge, "", labelled({ "a b": "c d" })],
    ["a number as label", merge, "", labelled({ a: 1 })],
    ["no labels", merge, "", labelled(null)],
    ["an unknown field", merge, "&fieldValidation=Strict", { unknown: 1, metadata: { alien: true } }],
    ["an unknown field warned of", merge, "&fieldValidation=Warn", { unknown: 1 }],
    ["another name", merge, "", { metadata: { name: "other" } }],
    ["another kind", merge, "", { kind: "Other" }],
    ["another version", merge, "", { apiVersion: "v9" }],
    ["another uid", merge, "", { metadata: { uid: "other" } }],
    ["a stale revision", merge, "", { metadata: { resourceVersion: "1" } }],
    ["nothing", merge, "", {}],
    ["null", merge, "", "null"],
    ["a list", merge, "", "[]"],
    ["no JSON", merge, "", "{"],
    ["a label", strategic, "", labelled({ a: "b" })],
    ["labels replaced", strategic, "", labelled({ $patch: "replace", only: "this" })],
    ["a finalizer", strategic, "", { metadata: { finalizers: ["example.com/wait"] } }],
    [
      "a finalizer taken out",
      strategic,
      "",
      { metadata: { "$deleteFromPrimitiveList/finalizers": ["example.com/x"] } },
    ],
    ["a bad directive", strategic, "", { metadata: { $patch: "explode" } }],
    [
      "an owner",
      strategic,
      "",
      {
        metadata: {
          ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "00000000-0000-0000-0000-000000000001" }],
        },
      },
    ],
    [
      "an owner without uid",
      strategic,
      "",
      { metadata: { ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p" }] } },
    ],
    ["text for an object", strategic, "", { metadata: "text" }],
    ["add", json, "", [{ op: "add", path: "/metadata/labels", value: { a: "b" } }]],
    ["test", json, "", [{ op: "test", path: "/metadata/name", value: name }]],
    ["failed test", json, "", [{ op: "test", path: "/metadata/name", value: "other" }]],
    ["remove what is not there", json, "", [{ op: "remove", path: "/metadata/nothing" }]],
    ["replace what is not there", json, "", [{ op: "replace", path: "/spec/nothing/at/all", value: 1 }]],
    [
      "copy and move",
      json,
      "",
      [
        { op: "add", path: "/metadata/annotations", value: { a: "b" } },
        { op: "copy", from: "/metadata/annotations/a", path: "/metadata/annotations/c" },
        { op: "move", from: "/metadata/annotations/a", path: "/metadata/annotations/d~1e" },
      ],
    ],
    ["an unknown operation", json, "", [{ op: "mend", path: "/metadata" }]],
    ["a path without slash", json, "", [{ op: "add", path: "metadata", value: {} }]],
    ["an object", json, "", {}],
    ["without manager", apply, "", applied({})],
    ["a label", apply, "&fieldManager=other", applied({ metadata: { name, labels: { a: "b" } } })],
    ["an unknown field", apply, "&fieldManager=other", applied({ unknown: 1 })],
    [
      "managed fields",
      apply,
      "&fieldManager=other",
      applied({ metadata: { name, managedFields: [{ manager: "x" }] } }),
    ],
    ["without kind", apply, "&fieldManager=other", { metadata: { name } }],
    ["another name", apply, "&fieldManager=other", applied({ metadata: { name: "other" } })],
    ["a stale revision", apply, "&fieldManager=other", applied({ metadata: { name, resourceVersion: "1" } })],
    ["all of it", apply, "&fieldManager=other", each.object],
    ["all of it by force", apply, "&fieldManager=other&force=true", each.object],
    ["forced otherwise", merge, "&force=true", {}],
    ["a long manager", merge, `&fieldManager=${"m".repeat(129)}`, labelled({ a: "b" })],
    ["an unprintable manager", merge, "&fieldManager=a%07b", labelled({ a: "b" })],
    ["no type", "application/json", "", labelled({ a: "b" })],
  ];
}

const short: Readonly<Record<string, string>> = {
  [merge]: "merge",
  [strategic]: "strategic",
  [json]: "json",
  [apply]: "apply",
};

function patchRequests(each: Held): WireRequest[] {
  return patches(each).map(([what, type, query, body]) => ({
    name: `patch ${each.sample} ${short[type] ?? type} ${what}`,
    method: "PATCH",
    path: `${each.path}?dryRun=All${query}`,
    headers: { "content-type": type },
    ...(body !== undefined && { body }),
  }));
}

export const patchGroups: readonly WireGroup[] = held.map((each) => ({
  name: `patch ${each.sample}`,
  requests: patchRequests(each),
}));

/** Applies that change what is owned: two managers, a conflict, a move, and giving up. */
const ownership = (each: Held): WireRequest[] => {
  const { apiVersion, kind } = each.object as { apiVersion: string; kind: string };
  const { name } = metadataOf(each);
  const send = (what: string, manager: string, labels: Json, more = ""): WireRequest => ({
    name: `own ${each.sample} ${what}`,
    method: "PATCH",
    path: `${each.path}?fieldManager=${manager}${more}`,
    headers: { "content-type": apply },
    body: { apiVersion, kind, metadata: { name, labels } },
  });
  return [
    send("first", "one", { shared: "1", mine: "1" }),
    send("again", "one", { shared: "1", mine: "1" }),
    send("conflict", "two", { shared: "2" }),
    send("agreed", "two", { shared: "1" }),
    send("forced", "two", { shared: "2" }, "&force=true"),
    send("given up", "one", { mine: "1" }),
    send("emptied", "one", {}),
    send("emptied too", "two", {}),
  ];
};

export const ownershipGroup: WireGroup = { name: "ownership", inOrder: true, requests: held.flatMap(ownership) };

const statusOf = (each: Held): WireRequest[] => {
  const path = `${each.path}/status`;
  const { apiVersion, kind } = each.object as { apiVersion: string; kind: string };
  const { name, namespace } = metadataOf(each);
  const send = (
    what: string,
    method: string,
    query: string,
    body?: WireRequest["body"],
    type?: string,
  ): WireRequest => ({
    name: `status ${each.sample} ${what}`,
    method,
    path: path + query,
    ...(body !== undefined && { body }),
    ...(type && { headers: { "content-type": type } }),
  });
  return [
    send("get", "GET", ""),
    send("put", "PUT", "?dryRun=All", (live) => ({ ...live, spec: undefined, metadata: { name, namespace } })),
    send("posted", "POST", "?dryRun=All", { apiVersion, kind, metadata: { name } }),
    send("label", "PATCH", "?dryRun=All", { metadata: { labels: { a: "b" } } }, merge),
    send("text", "PATCH", "?dryRun=All", { status: "text" }, merge),
    send(
      "conditions",
      "PATCH",
      "?dryRun=All",
      {
        status: {
          conditions: [
            { type: "Ready", status: "True", reason: "Tried", message: "", lastTransitionTime: "2024-01-01T00:00:00Z" },
          ],
        },
      },
      merge,
    ),
    send("negative", "PATCH", "?dryRun=All", { status: { observedGeneration: -1, replicas: -1 } }, merge),
    send("deleted", "DELETE", "?dryRun=All"),
  ];
};

const scaleOf = (each: Held): WireRequest[] => {
  const path = `${each.path}/scale`;
  const scale = {
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: { name: metadataOf(each)["name"] },
    spec: { replicas: 4 },
  };
  const send = (what: string, method: string, body?: WireRequest["body"], type?: string): WireRequest => ({
    name: `scale ${each.sample} ${what}`,
    method,
    path: `${path}?dryRun=All&fieldManager=scaler`,
    ...(body !== undefined && { body }),
    ...(type && { headers: { "content-type": type } }),
  });
  return [
    send("get", "GET"),
    send("put", "PUT", scale),
    send("negative", "PUT", { ...scale, spec: { replicas: -1 } }),
    send("nameless", "PUT", { ...scale, metadata: {} }),
    send("merge", "PATCH", { spec: { replicas: 5 } }, merge),
    send("text", "PATCH", { spec: { replicas: "many" } }, merge),
    send("apply", "PATCH", scale, apply),
  ];
};

export const subresourceGroup: WireGroup = {
  name: "subresources",
  requests: held.flatMap((each) => [...statusOf(each), ...scaleOf(each)]),
};
