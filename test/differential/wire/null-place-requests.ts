/** Null in the place of every field of every kind, by each verb that can send it. Everything is a dry run. */
import { parseApiVersion } from "#shared/api/object.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import { type Path, placesOf, withValue } from "./places.ts";
import { type Json, sender, type WireGroup, type WireRequest } from "./request.ts";
import { collectionOf, type Held, held, placedObject } from "./world.ts";

const merge = "application/merge-patch+json";
const strategic = "application/strategic-merge-patch+json";
const json = "application/json-patch+json";
const apply = "application/apply-patch+yaml";

function requestsOf(each: Held): WireRequest[] {
  const { sample, kind, object, path } = each;
  const made = placedObject(kind);
  const make = sender(`null in ${sample}`);
  const send: typeof make = (what, method, at, ...rest) => ({
    ...make(what, method, `${at}${at.includes("?") ? "&" : "?"}dryRun=All`, ...rest),
    exact: true,
  });
  const applied = (what: string, body: Json): WireRequest =>
    send(`${what} applied`, "PATCH", `${path}?fieldManager=nuller&force=true`, body, apply);
  const atPlace = (place: Path): WireRequest[] => {
    const what = place.join(".");
    return [
      send(`${what} created`, "POST", collectionOf(kind), withValue(made, place, null)),
      send(`${what} updated`, "PUT", path, (live) => withValue(withPlace(live, object, place), place, null)),
      send(`${what} merged`, "PATCH", path, nullAlone(object, place), merge),
      send(`${what} merged strategically`, "PATCH", path, nullAlone(object, place), strategic),
      send(`${what} added`, "PATCH", path, [{ op: "add", path: pointerTo(place), value: null }], json),
      applied(what, withValue(object, place, null)),
    ];
  };
  return [
    ...placesOf(object)
      .map(({ path: place }) => place)
      .flatMap(atPlace),
    send("all else created", "POST", collectionOf(kind), nullsElsewhere(made)),
    send("all else updated", "PUT", path, nullsElsewhere),
    send("all else merged", "PATCH", path, nullsElsewhere(object), merge),
    send("all else merged strategically", "PATCH", path, nullsElsewhere(object), strategic),
    applied("all else", nullsElsewhere(object)),
  ];
}

const pointerTo = (path: Path): string =>
  path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** The live object; where it has lost what holds the place, the posted one. */
function withPlace(live: Json, posted: Json, place: Path): Json {
  let at: unknown = live;
  for (const step of place.slice(0, -1)) at = (at as Record<string | number, unknown> | undefined)?.[step];
  return at === undefined || at === null ? posted : live;
}

/** A patch that is null at a place; of a list on the way there, its first element with the rest of it. */
function nullAlone(value: unknown, [step, ...rest]: Path): Json {
  const key = String(step);
  const below = (value as Json)[key];
  if (rest.length === 0) return { [key]: null };
  return { [key]: Array.isArray(below) ? [withNull(below[0], rest.slice(1))] : nullAlone(below, rest) };
}

const withNull = (value: unknown, path: Path): unknown => (path.length === 0 ? null : withValue(value, path, null));

/** Null for every declared field that the object, and each that it holds, lacks. */
function nullsElsewhere(object: Json): Json {
  const gvk = { ...parseApiVersion(String(object["apiVersion"])), kind: String(object["kind"]) };
  return filled(object, schemaFor(gvk)) as Json;
}

function filled(value: unknown, schema: Schema | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => filled(item, schema?.items));
  if (value === null || typeof value !== "object") return value;
  const given = Object.entries(value).map(([key, item]) => [
    key,
    filled(item, schema?.properties?.get(key) ?? schema?.additionalProperties),
  ]);
  const absent = [...(schema?.properties?.keys() ?? [])].filter((key) => !(key in value)).map((key) => [key, null]);
  return Object.fromEntries([...given, ...absent]);
}

export const nullPlaceGroups: readonly WireGroup[] = held.map((each) => ({
  name: `null in ${each.sample}`,
  requests: requestsOf(each),
}));
