/** Keys that are unknown or given twice, in every object of an object of every kind, by every way in and every validation. Dry. */
import { type Path, placesOf } from "./places.ts";
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { collectionOf, type Held, heldKinds, placedObject } from "./world.ts";

const validations = ["Strict", "Warn", "Ignore"];
const types = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
  json: "application/json-patch+json",
};

/** The objects of an object, by their paths. */
const objectsIn = (object: Json): readonly Path[] => [
  [],
  ...placesOf(object)
    .filter(({ value }) => value !== null && typeof value === "object" && !Array.isArray(value))
    .map(({ path }) => path),
];

/** JSON text of a value; the object at a place is written with more members. */
function textWith(value: unknown, place: Path | undefined, more: (object: Json) => readonly string[]): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const below = (key: string | number): Path | undefined => (place && place[0] === key ? place.slice(1) : undefined);
  if (Array.isArray(value)) return `[${value.map((item, index) => textWith(item, below(index), more)).join()}]`;
  const members = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}:${textWith(item, below(key), more)}`,
  );
  return `{${[...members, ...(place?.length === 0 ? more(value as Json) : [])].join()}}`;
}

const twice = (object: Json): readonly string[] =>
  Object.entries(object)
    .slice(0, 1)
    .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
const more: Readonly<Record<string, (object: Json) => readonly string[]>> = {
  twice,
  unknown: () => ['"unknown":{"a":1,"a":2}'],
  "unknown and twice": (object) => ['"unknown":1', '"unknown":2', ...twice(object)],
  "of another case": (object) =>
    Object.entries(object)
      .slice(0, 1)
      .map(([key, value]) => `${JSON.stringify(key.toUpperCase())}:${JSON.stringify(value)}`),
};

function requestsOf(each: Held, first: number): WireRequest[] {
  const { sample, kind, object, path } = each;
  let turn = first;
  const made = placedObject(kind);
  const send = (what: string, method: string, to: string, body: string, type: string): WireRequest => {
    turn += 1;
    const validation = validations[turn % validations.length] ?? "";
    return {
      name: `fields ${sample} ${what}`,
      method,
      path: `${to}${to.includes("?") ? "&" : "?"}dryRun=All&fieldValidation=${validation}`,
      headers: { "content-type": type },
      body,
    };
  };
  return objectsIn(object).flatMap((place) =>
    Object.entries(more).flatMap(([what, members]) => {
      const where = `${place.join(".")} ${what}`;
      const text = textWith(object, place, members);
      const value = textWith(object[String(place[0])], place.slice(1), members);
      return [
        send(`${where} created`, "POST", collectionOf(kind), textWith(made, place, members), "application/json"),
        send(
          `${where} created in YAML`,
          "POST",
          collectionOf(kind),
          textWith(made, place, members),
          "application/yaml",
        ),
        send(`${where} updated`, "PUT", path, text, "application/json"),
        send(`${where} merged`, "PATCH", path, text, types.merge),
        send(`${where} merged strategically`, "PATCH", path, text, types.strategic),
        send(`${where} applied`, "PATCH", `${path}?fieldManager=fielder&force=true`, text, types.apply),
        ...(place.length === 0
          ? []
          : [
              send(
                `${where} replaced`,
                "PATCH",
                path,
                `[{"op":"replace","path":"/${String(place[0])}","value":${value}}]`,
                types.json,
              ),
            ]),
      ];
    }),
  );
}

export const fieldGroups: readonly WireGroup[] = heldKinds.map((each, index) => ({
  name: `fields ${each.sample}`,
  requests: requestsOf(each, index),
}));
