/** Strategic merge patches with every directive, at every list and object of an object of every kind. All are dry runs. */
import type { Path } from "./places.ts";
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { type Held, held } from "./world.ts";

const strategic = "application/strategic-merge-patch+json";

/** What lists of objects may be merged by. */
const keys = ["name", "port", "containerPort", "mountPath", "devicePath", "ip", "uid", "type", "key", "topologyKey"];

interface Place {
  readonly path: Path;
  readonly value: readonly unknown[] | Json;
}

function placesIn(value: unknown, path: Path = []): readonly Place[] {
  if (value === null || typeof value !== "object") return [];
  const inside = Array.isArray(value)
    ? value.slice(0, 1).flatMap((item) => placesIn(item, [...path, 0]))
    : Object.entries(value).flatMap(([key, item]) => placesIn(item, [...path, key]));
  return [{ path, value: value as Json }, ...inside];
}

/** What brings `change` to a place: items on the way there keep what they may be known by. */
function patchTo(object: Json, path: Path, change: Json): Json {
  const [step, ...rest] = path;
  if (step === undefined) return change;
  const value = object[step];
  if (Array.isArray(value)) return { [step]: [throughItem(value[0] as Json, rest.slice(1), change)] };
  return { [step]: patchTo(value as Json, rest, change) };
}

function throughItem(item: Json, rest: Path, change: Json): Json {
  const known = Object.fromEntries(Object.entries(item).filter(([, value]) => typeof value !== "object"));
  return { ...known, ...patchTo(item, rest, change) };
}

const known = (item: Json): Json => Object.fromEntries(Object.entries(item).filter(([key]) => keys.includes(key)));

/** By what they say, changes of the object that has the list `name`. */
function changesOfList(name: string, list: readonly unknown[]): readonly (readonly [string, Json])[] {
  const order = `$setElementOrder/${name}`;
  const removal = `$deleteFromPrimitiveList/${name}`;
  const first = list[0];
  if (first === null || typeof first !== "object" || Array.isArray(first))
    return [
      ["added", { [name]: ["added.example.com/a"] }],
      ["taken out", { [removal]: [first] }],
      ["taken out, what is not there", { [removal]: ["nothing", 1] }],
      ["taken out, no list", { [removal]: first }],
      ["taken out and added", { [removal]: [first], [name]: ["added.example.com/a"] }],
      ["in order", { [order]: ["added.example.com/a", ...list], [name]: ["added.example.com/a"] }],
      ["in an order without what is added", { [order]: list, [name]: ["added.example.com/a"] }],
      ["null", { [name]: null }],
    ];
  const item = first as Json;
  return [
    ["the same", { [name]: [item] }],
    ["deleted", { [name]: [{ ...known(item), $patch: "delete" }] }],
    [
      "deleted twice",
      {
        [name]: [
          { ...known(item), $patch: "delete" },
          { ...known(item), $patch: "delete" },
        ],
      },
    ],
    ["replaced", { [name]: [{ $patch: "replace" }, item] }],
    ["replaced by nothing", { [name]: [{ $patch: "replace" }] }],
    ["merged", { [name]: [{ ...item, $patch: "merge" }] }],
    ["nameless", { [name]: [{}] }],
    ["nameless, deleted", { [name]: [{ $patch: "delete" }] }],
    ["exploded", { [name]: [{ ...known(item), $patch: "explode" }] }],
    ["an item replaced", { [name]: [{ ...known(item), $patch: "replace" }] }],
    ["in order", { [order]: [known(item)], [name]: [item] }],
    ["in an order of nameless ones", { [order]: [{}], [name]: [item] }],
    ["in an order of other ones", { [order]: [{ ...known(item), name: "other" }], [name]: [known(item)] }],
    ["in an order of texts", { [order]: ["a"], [name]: [item] }],
    ["no list of objects", { [name]: ["a"] }],
    ["an object", { [name]: {} }],
    ["a directive for primitives", { [removal]: ["a"] }],
    ["null", { [name]: null }],
  ];
}

function changesOfObject(object: Json): readonly (readonly [string, Json])[] {
  const [first = "none"] = Object.keys(object);
  return [
    ["replaced", { ...object, $patch: "replace" }],
    ["replaced by nothing", { $patch: "replace" }],
    ["deleted", { $patch: "delete" }],
    ["deleted with more", { $patch: "delete", [first]: object[first] }],
    ["merged", { $patch: "merge" }],
    ["directed by a number", { $patch: 1 }],
    ["retained", { $retainKeys: [first], [first]: object[first] }],
    ["retained none", { $retainKeys: [] }],
    ["retained another", { $retainKeys: ["other"], [first]: object[first] }],
    ["retained, no list", { $retainKeys: first }],
    ["retained numbers", { $retainKeys: [1] }],
  ];
}

function directives(each: Held): readonly WireRequest[] {
  const { sample, object, path } = each;
  const send = (where: Path, what: string, body: Json): WireRequest => ({
    name: `directive ${sample} ${where.join(".")} ${what}`,
    method: "PATCH",
    path: `${path}?dryRun=All`,
    headers: { "content-type": strategic },
    body,
  });
  return placesIn(object)
    .filter(({ path }) => path.length > 0)
    .flatMap(({ path: where, value }) => {
      const parent = where.slice(0, -1);
      const last = where.at(-1) as Path[number];
      if (Array.isArray(value)) {
        if (typeof last === "number") return [];
        return changesOfList(last, value).map(([what, change]) => send(where, what, patchTo(object, parent, change)));
      }
      if (typeof last === "number") return [];
      return changesOfObject(value as Json).map(([what, change]) => send(where, what, patchTo(object, where, change)));
    });
}

export const directiveGroups: readonly WireGroup[] = held.map((each) => ({
  name: `directives ${each.sample}`,
  requests: directives(each),
}));
