/** A configuration that is merged into an object for nobody: what mutating admission policies apply (KEP-3962). */
import { isJsonObject, type JsonObject } from "../patch/json-value.ts";
import type { Schema } from "../schema/schema.ts";
import { merge } from "./merge.ts";
import { displayElement, fieldElement } from "./path-element.ts";
import { type Atom, rootAtom } from "./typed-schema.ts";
import { typeProblems } from "./validate.ts";

/** The configuration does not fit the type, or replaces what it cannot merge into. */
export class ConfigurationMisfit extends Error {
  override readonly name = "ConfigurationMisfit";
}

/**
 * The live object with the configuration merged in; neither is changed. Nothing is removed, and nobody owns what is set. May hold
 * nulls where a list or map has nothing in it. Throws ConfigurationMisfit in upstream's words
 * (apiserver's policy/mutating/patch/smd.go): also for whatever would replace an atomic list, map or struct as a whole.
 */
export function mergedConfiguration(
  live: JsonObject,
  configuration: JsonObject,
  schema: Schema | undefined,
): JsonObject {
  const atom = rootAtom(schema);
  const unfit = typeProblems(configuration, atom, { refuseNulls: true });
  if (unfit !== undefined) throw new ConfigurationMisfit(`failed to convert patch object to typed object: ${unfit}`);
  const atomics = atomicPaths(configuration, atom, "");
  if (atomics.length > 0) {
    const list = atomics.join(", ");
    throw new ConfigurationMisfit(`invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${list}`);
  }
  const unreadable = typeProblems(live, atom, { allowDoubles: true });
  if (unreadable !== undefined)
    throw new ConfigurationMisfit(`failed to convert original object to typed object: ${unreadable}`);
  return (merge(live, configuration, atom) ?? {}) as JsonObject;
}

/** Of all that is atomic, from the outside in; values of maps are not looked into, as upstream does not. */
function atomicPaths(value: unknown, { map, list }: Atom, path: string): string[] {
  if (isJsonObject(value) && map) {
    const inner = Object.keys(value).flatMap((key) => {
      const field = map.declares(key) ? map.fieldAtom(key) : undefined;
      return field ? atomicPaths(value[key], field, path + displayElement(fieldElement(key))) : [];
    });
    return map.isAtomic ? [path, ...inner] : inner;
  }
  if (!Array.isArray(value) || !list) return [];
  const inner = value.flatMap((item, index) => atomicPaths(item, list.element, `${path}[${index}]`));
  return list.isAtomic ? [path, ...inner] : inner;
}
