/** Creates and updates of every kind, each place of an object wrong in turn. Everything is a dry run. */
import { samples } from "../resources/samples.ts";
import { absentOf, othersOf, type Path, placesOf, withValue, wrongsOf } from "./places.ts";
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { collectionOf, type Held, held, placedObject } from "./world.ts";

const validations = ["Strict", "Warn", "Ignore", ""];

/** Field validation takes turns, so that each has its share. */
const query = (index: number): string => {
  const validation = validations[index % validations.length] ?? "";
  return `?dryRun=All${validation === "" ? "" : `&fieldValidation=${validation}`}`;
};

const at = (path: Path): string => path.join(".");

export const createGroups: readonly WireGroup[] = Object.entries(samples).map(([sample, kind]) => {
  const whole = placedObject(kind);
  const objects: (readonly [string, Json])[] = [
    ["whole", whole],
    ...placesOf(whole).flatMap((place) =>
      wrongsOf(place).map(
        ({ what, value }) => [`${at(place.path)} ${what}`, withValue(whole, place.path, value)] as const,
      ),
    ),
    ...absentOf(whole).map(
      ({ path, value }) => [`${at(path)} ${JSON.stringify(value)}`, withValue(whole, path, value)] as const,
    ),
  ];
  return {
    name: `create ${sample}`,
    requests: objects.map(([what, body], index) => ({
      name: `create ${sample} ${what}`,
      method: "POST",
      path: collectionOf(kind) + query(index),
      body,
    })),
  };
});

const generateName = "metadata.generateName";

/** Of one kind, for what is the same whatever the kind. */
const firstOfKind = (all: readonly Held[]): Held[] => {
  const seen = new Set<string>();
  return all.filter(({ collection }) => !seen.has(collection) && seen.add(collection));
};

export const updateGroups: readonly WireGroup[] = held.map((each) => {
  const { sample, object, path } = each;
  const put = (what: string, body: WireRequest["body"], index: number): WireRequest => ({
    name: `update ${sample} ${what}`,
    method: "PUT",
    path: path + query(index),
    ...(body && { body }),
  });
  const changes = placesOf(object).flatMap((place) =>
    othersOf(place).map(({ what, value }) => ({ what: `${at(place.path)} ${what}`, path: place.path, value })),
  );
  const absent = absentOf(object).filter(({ path: place }, index) => index % 3 === 0 || at(place) === generateName);
  return {
    name: `update ${sample}`,
    requests: [
      put("as it is", (live) => live, 0),
      put("as it was posted", object, 1),
      put("stale", { ...object, metadata: { ...(object["metadata"] as Json), resourceVersion: "1" } }, 2),
      put("other uid", { ...object, metadata: { ...(object["metadata"] as Json), uid: "other" } }, 3),
      ...changes.map(({ what, path: place, value }, index) =>
        put(what, (live) => withChange(live, object, place, value), index),
      ),
      ...absent.map(({ path: place, value }, index) =>
        put(`${at(place)} ${JSON.stringify(value)}`, (live) => withChange(live, object, place, value), index),
      ),
    ],
  };
});

/** The live object with one change; where it has lost the place, the posted one. */
function withChange(live: Json, posted: Json, path: Path, value: unknown): Json {
  try {
    return withValue(live, path, value);
  } catch {
    return withValue(posted, path, value);
  }
}

export const deleteGroup: WireGroup = {
  name: "delete",
  requests: firstOfKind(held).flatMap(({ sample, path }) => {
    const remove = (what: string, body: Json | undefined, more = ""): WireRequest => ({
      name: `delete ${sample} ${what}`,
      method: "DELETE",
      path: `${path}?dryRun=All${more}`,
      // Where there is a body, upstream looks for options nowhere else.
      ...(body && { body: { ...body, dryRun: ["All"] } }),
    });
    return [
      remove("plain", undefined),
      remove("in the foreground", { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Foreground" }),
      remove("orphaning", undefined, "&propagationPolicy=Orphan"),
      remove("by another uid", { preconditions: { uid: "other" } }),
      remove("by another revision", { preconditions: { resourceVersion: "1" } }),
      remove("with a bad policy", { propagationPolicy: "Perhaps" }),
      remove("with both policies", { propagationPolicy: "Orphan", orphanDependents: true }),
      remove("with negative grace", undefined, "&gracePeriodSeconds=-5"),
      remove("with bad grace", undefined, "&gracePeriodSeconds=soon"),
    ];
  }),
};
