/**
 * Each field that a built-in kind declares and its samples lack, set to what it might well hold: whether it is kept, dropped
 * behind a closed gate, refused or warned of. A struct that several kinds share is asked about in the first of them; all are dry runs.
 */
import { parseApiVersion } from "#shared/api/object.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import { likelyValue, modelOf } from "../lists/items.ts";
import { fieldsOfStruct } from "../lists/words.ts";
import type { Path } from "../wire/places.ts";
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "../wire/request.ts";
import { collectionOf, type Held, held } from "../wire/world.ts";

const own = "wire-fields";
const send = sender("field");

/** What pods hold is asked about in what makes them. */
const first = ["deployment", "job"];
const rank = ({ sample }: Held): number => (first.includes(sample) ? first.indexOf(sample) : first.length);
const kinds = held
  .filter(({ sample }) => sample !== "customResourceDefinition")
  .sort((one, other) => rank(one) - rank(other));

const asked = new Set<string>();

interface Extended {
  readonly path: Path;
  readonly object: Json;
}

/** What the value has comes first: there most is allowed. */
function* extended(object: Json, schema: Schema, path: Path, within: readonly string[]): Generator<Extended> {
  const value = at(object, path);
  if (schema.type === "array" && schema.items) {
    const [element = likelyValue(schema.items, String(path.at(-1)))] = (value ?? []) as unknown[];
    yield* extended(placed(object, [...path, 0], element), schema.items, [...path, 0], within);
  }
  const model = modelOf(schema);
  if (schema.type !== "object" || !schema.properties || within.includes(model)) return;
  const whole = (value ?? fieldsOfStruct(model, 0)) as Json;
  const base = placed(object, path, whole);
  const has = (name: string): number => Number(whole[name] !== undefined);
  for (const [name, field] of [...schema.properties].sort(([a], [b]) => has(b) - has(a))) {
    if (path.length === 0 && /^(apiVersion|kind|metadata|status)$/.test(name)) continue;
    const place = [...path, name];
    const declared = `${model}.${name}`;
    if (!has(name) && !asked.has(declared)) {
      asked.add(declared);
      yield { path: place, object: placed(base, place, likelyValue(field, name)) };
    }
    yield* extended(base, field, place, [...within, model]);
  }
}

const at = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | undefined)?.[key], value);

/** A copy with what leads to the place, if need be. */
function placed<T>(value: T, [key, ...rest]: Path, last: unknown): T {
  if (key === undefined) return last as T;
  const before = (value as Record<string | number, unknown> | undefined)?.[key];
  const inner = placed(before, rest, last);
  if (typeof key === "string") return { ...value, [key]: inner };
  return ((value ?? []) as unknown[]).toSpliced(key, 1, inner) as T;
}

function requestsOf(each: Held): WireRequest[] {
  const { namespace: _, ...metadata } = each.object["metadata"] as Json;
  const object: Json = { ...each.object, metadata };
  const schema = schemaFor({ ...parseApiVersion(String(object["apiVersion"])), kind: String(object["kind"]) });
  if (!schema) throw new Error(`${each.sample} has no schema`);
  return [...extended(object, schema, [], [])].map(({ path, object: body }) =>
    send(`${each.sample} ${path.join(".")}`, "POST", `${collectionOf(each.kind, own)}?dryRun=All`, body),
  );
}

/** Lists without values are told of as such, however they came to be empty. */
const emptyValues = [undefined, null, [], [1]].map((values) =>
  send(`exit codes ${JSON.stringify(values)}`, "POST", `/apis/batch/v1/namespaces/${own}/jobs?dryRun=All`, {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "exits" },
    spec: {
      podFailurePolicy: { rules: [{ action: "FailJob", onExitCodes: { operator: "In", values } }] },
      template: { spec: { restartPolicy: "Never", containers: [{ name: "a", image: "a" }] } },
    },
  }),
);

export const groups: readonly WireGroup[] = [
  {
    name: "namespace",
    inOrder: true,
    requests: [
      ...ownNamespace(send, own),
      send("builder", "POST", `/api/v1/namespaces/${own}/serviceaccounts`, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name: "builder" },
      }),
    ],
  },
  ...kinds
    .map((each): WireGroup => ({ name: `fields of ${each.sample}`, requests: requestsOf(each) }))
    .filter(({ requests }) => requests.length > 0),
  { name: "empty lists", requests: emptyValues },
];
