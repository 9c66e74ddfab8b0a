/** Nulls that clients send, and times that are null or zero: what is kept of them and in what form it is served. */
import { core, definition, metadatas, type NullKind, nullKinds, own } from "./null-objects.ts";
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const types = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
};
const protobuf = "application/vnd.kubernetes.protobuf";

const make = sender("null");
/** Nulls of their answers count. */
const counting: typeof make = (...asked) => ({ ...make(...asked), exact: true });
const send = (
  what: string,
  method: string,
  path: string,
  body?: WireRequest["body"],
  headers?: Readonly<Record<string, string>>,
): WireRequest => ({ ...counting(what, method, path, body), ...(headers && { headers }) });

const setting: readonly WireRequest[] = [
  ...ownNamespace(counting, own),
  send("definition", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition),
  { ...send("pause", "GET", `${core}/configmaps?watch=1&labelSelector=none&timeoutSeconds=3`), exact: false },
];

function changesOf(
  { what, object, isCustom }: NullKind,
  path: string,
  changes: readonly Json[],
  below: string,
): WireRequest[] {
  const { apiVersion, kind } = object as { apiVersion: string; kind: string };
  const name = path.split("/").at(-1);
  return changes.flatMap((change, index) => {
    const sorts = isCustom ? (["merge", "apply"] as const) : (["merge", "strategic", "apply"] as const);
    const body = below === "" ? change : { status: change };
    const told = `${what}${below} ${JSON.stringify(change)}`;
    return [
      ...sorts.map((sort) =>
        send(
          `${told} by ${sort}`,
          "PATCH",
          `${path}${below}?fieldManager=m${index}${sort === "apply" ? "&force=true" : ""}`,
          sort === "apply" ? { apiVersion, kind, metadata: { name }, ...body } : body,
          { "content-type": types[sort] },
        ),
      ),
      send(`${told} by update`, "PUT", `${path}${below}?fieldManager=u${index}`, (live) => ({
        ...live,
        ...(below === "" ? merged(live, change) : { status: { ...(live["status"] as Json), ...change } }),
      })),
      send(`${told} read`, "GET", path),
      ...(isCustom ? [] : [send(`${told} in protobuf`, "GET", path, undefined, { accept: protobuf })]),
    ];
  });
}

/** One level deep, so that nulls stay in it. */
const merged = (live: Json, change: Json): Json =>
  Object.fromEntries(
    Object.entries(change).map(([key, value]) => [
      key,
      value !== null && typeof value === "object" && !Array.isArray(value)
        ? { ...(live[key] as Json), ...(value as Json) }
        : value,
    ]),
  );

function requestsOf(each: NullKind): WireRequest[] {
  const { what, collection, object, changes = [], statuses = [], isCustom } = each;
  const name = `null-${what.replaceAll(/[ .]/g, "-")}`;
  const path = `${collection}/${name}`;
  const json = (told: string, ...operations: readonly Json[]): WireRequest =>
    send(`${what} ${told}`, "PATCH", `${path}?dryRun=All`, operations, { "content-type": types.json });
  return [
    send(`${what} made, dry`, "POST", `${collection}?dryRun=All`, { ...object, metadata: { name } }),
    send(`${what} made`, "POST", collection, {
      ...object,
      metadata: { name, creationTimestamp: null, labels: { a: null, b: "c" } },
    }),
    send(`${what} read`, "GET", path),
    send(
      `${what} applied, dry`,
      "PATCH",
      `${collection}/applied-${name}?dryRun=All&fieldManager=a`,
      { ...object, metadata: { name: `applied-${name}`, creationTimestamp: null } },
      { "content-type": types.apply },
    ),
    ...(isCustom ? [] : [send(`${what} in protobuf`, "GET", path, undefined, { accept: protobuf })]),
    ...metadatas.flatMap((metadata) => {
      const told = `${what} with ${JSON.stringify(metadata)}`;
      const { apiVersion, kind } = object as { apiVersion: string; kind: string };
      return [
        send(`${told} posted`, "POST", `${collection}?dryRun=All`, {
          ...object,
          metadata: { name: `${name}-2`, ...metadata },
        }),
        send(`${told} merged`, "PATCH", `${path}?dryRun=All`, { metadata }, { "content-type": types.merge }),
        ...(isCustom
          ? []
          : [
              send(
                `${told} merged strategically`,
                "PATCH",
                `${path}?dryRun=All`,
                { metadata },
                { "content-type": types.strategic },
              ),
            ]),
        send(
          `${told} applied`,
          "PATCH",
          `${path}?dryRun=All&force=true&fieldManager=a`,
          { apiVersion, kind, metadata: { name, ...metadata } },
          { "content-type": types.apply },
        ),
        send(`${told} put`, "PUT", `${path}?dryRun=All`, (live) => ({
          ...live,
          metadata: { ...(live["metadata"] as Json), ...metadata },
        })),
      ];
    }),
    json("annotations null", { op: "add", path: "/metadata/annotations", value: null }),
    json("a null label", { op: "add", path: "/metadata/labels/n", value: null }),
    json("a test for null", { op: "test", path: "/metadata/annotations", value: null }),
    json("a test of nothing for null", { op: "test", path: "/nothing", value: null }),
    json("the creation null", { op: "replace", path: "/metadata/creationTimestamp", value: null }),
    json("the creation taken away", { op: "remove", path: "/metadata/creationTimestamp" }),
    json("the status null", { op: "add", path: "/status", value: null }),
    json("the spec null", { op: "add", path: "/spec", value: null }),
    ...changesOf(each, path, changes, ""),
    ...changesOf(each, path, statuses, "/status"),
  ];
}

export const nullGroups: readonly WireGroup[] = [
  { name: "nulls: setting", inOrder: true, requests: setting },
  ...nullKinds.map((each) => ({ name: `nulls: ${each.what}`, inOrder: true, requests: requestsOf(each) })),
];
