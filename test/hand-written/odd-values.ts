/** Values that only a hand in the store writes: objects of every kind, made into what no API server would have taken. */
import { apiVersionOf } from "#shared/api/object.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

export interface OddValue {
  /** `/registry/…` */
  readonly key: string;
  readonly text: string;
  /** The path by which a client would read it. */
  readonly path: string;
  readonly kind: string;
  readonly how: string;
}

const fixture = new URL("../fixtures/schema/objects.json.gz", import.meta.url).pathname;

interface ObjectVector {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly json: JsonObject;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The same value with each of its leaves, or its lists, made into something else; metadata stays. */
function changed(value: Json, leaf: (value: Json) => Json, list: (items: Json[]) => Json): Json {
  if (Array.isArray(value)) return list(value.map((item) => changed(item, leaf, list)));
  if (!isObject(value)) return leaf(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, changed(item, leaf, list)]));
}

const same = <T>(value: T): T => value;

/** What is done to all but apiVersion, kind and metadata. */
const toBody: Readonly<Record<string, (body: JsonObject) => JsonObject>> = {
  whole: same,
  nothing: () => ({}),
  nulls: (body) => Object.fromEntries(Object.keys(body).map((key) => [key, null])),
  emptyStructs: (body) => Object.fromEntries(Object.keys(body).map((key) => [key, isObject(body[key]) ? {} : null])),
  numbersAsText: (body) =>
    changed(body, (leaf) => (typeof leaf === "number" ? String(leaf) : leaf), same) as JsonObject,
  textAsNumbers: (body) => changed(body, (leaf) => (typeof leaf === "string" ? 7 : leaf), same) as JsonObject,
  leavesAsNull: (body) => changed(body, () => null, same) as JsonObject,
  emptyText: (body) => changed(body, (leaf) => (typeof leaf === "string" ? "" : leaf), same) as JsonObject,
  oddText: (body) => changed(body, (leaf) => (typeof leaf === "string" ? "Odd[ *é" : leaf), same) as JsonObject,
  negative: (body) => changed(body, (leaf) => (typeof leaf === "number" ? -1 : leaf), same) as JsonObject,
  enormous: (body) => changed(body, (leaf) => (typeof leaf === "number" ? 2_000_000_000 : leaf), same) as JsonObject,
  emptyLists: (body) => changed(body, same, () => []) as JsonObject,
  nullLists: (body) => changed(body, same, () => null) as JsonObject,
  listsOfNull: (body) => changed(body, same, () => [null]) as JsonObject,
  listsOfEmpty: (body) => changed(body, same, (items) => (isObject(items[0]) ? [{}] : items)) as JsonObject,
  twice: (body) => changed(body, same, (items) => [...items, ...items]) as JsonObject,
  lists: (body) => Object.fromEntries(Object.keys(body).map((key) => [key, [1]])),
};

const toMetadata: Readonly<Record<string, (metadata: JsonObject) => Json>> = {
  noMetadata: () => null,
  otherName: (metadata) => ({ ...metadata, name: "other" }),
  numberAsName: (metadata) => ({ ...metadata, name: 5 }),
  oddMaps: (metadata) => ({ ...metadata, labels: [], annotations: "x" }),
  numbersInMaps: (metadata) => ({ ...metadata, labels: { a: 1 }, annotations: { b: null } }),
  oddOwners: (metadata) => ({ ...metadata, ownerReferences: [{}, null, { kind: "Pod", name: "a", uid: "b" }] }),
  oddFinalizers: (metadata) => ({ ...metadata, finalizers: ["", "odd", "odd"] }),
  deletedLongAgo: (metadata) => ({ ...metadata, deletionTimestamp: "2001-01-01T00:00:00Z" }),
  deletedAtOddTime: (metadata) => ({ ...metadata, deletionTimestamp: "yesterday" }),
  noUid: ({ uid: _, ...metadata }) => metadata,
  resourceVersion: (metadata) => ({ ...metadata, resourceVersion: "1" }),
  oddManagers: (metadata) => ({ ...metadata, managedFields: [{}, { fieldsV1: "x" }, null] }),
};

const toText: Readonly<Record<string, (text: string) => string>> = {
  half: (text) => text.slice(0, text.length / 2),
  empty: () => "",
  zeroBytes: () => "\0\0\0",
  protobuf: () => "k8s\0\n\u000c\n\u0002v1\u0012\u0006Secret",
  list: () => "[]",
  null: () => "null",
  otherKind: (text) => text.replace(/"kind":"\w+"/, '"kind":"Other"'),
  otherVersion: (text) => text.replace(/"apiVersion":"[^"]*"/, '"apiVersion":"v0"'),
};

/** Names that only live ones should have: of these objects the cluster makes its own. */
const uidOf = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

/** @param namespace where namespaced ones are said to be. */
export async function* oddValues(namespace: string): AsyncGenerator<OddValue> {
  const text = new TextDecoder().decode(Bun.gunzipSync(await Bun.file(fixture).bytes()));
  const seen = new Set<string>();
  let index = 0;
  for (const { group, version, kind, json } of JSON.parse(text) as ObjectVector[]) {
    const declaration = builtinDeclarations.find(
      ({ ref }) => ref.group === group && ref.version === version && ref.kind === kind,
    );
    const isStored =
      declaration &&
      !declaration.virtual &&
      !declaration.storedAs &&
      !declaration.computed &&
      (declaration.verbs === undefined || declaration.verbs.includes("update"));
    if (!isStored || seen.has(declaration.ref.plural)) continue;
    seen.add(declaration.ref.plural);
    const { plural, namespaced } = declaration.ref;
    const { apiVersion: _, kind: __, metadata: ___, ...body } = json;
    const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
    const place = namespaced ? `namespaces/${namespace}/` : "";
    const make = (
      how: string,
      metadata: (plain: JsonObject) => Json,
      rest: JsonObject,
      cut = same<string>,
    ): OddValue => {
      const name = `odd-${how.toLowerCase()}`;
      const plain = {
        name,
        ...(namespaced ? { namespace } : {}),
        uid: uidOf(++index),
        creationTimestamp: "2026-01-01T00:00:00Z",
      };
      const value = { apiVersion: apiVersionOf({ group, version }), kind, metadata: metadata(plain), ...rest };
      return {
        key: `/registry/${plural}/${namespaced ? `${namespace}/` : ""}${name}`,
        text: cut(JSON.stringify(value)),
        path: `${root}/${place}${plural}/${name}`,
        kind,
        how,
      };
    };
    for (const [how, change] of Object.entries(toBody)) yield make(how, same, change(body));
    for (const [how, change] of Object.entries(toMetadata)) yield make(how, change, body);
    for (const [how, change] of Object.entries(toText)) yield make(how, same, body, change);
    yield make("huge", (plain) => ({ ...plain, annotations: { a: "x".repeat(2_000_000) } }), body);
  }
}
