/** Which fields a write takes and which it removes, in the API version of whoever owns them. */
import type { JsonObject } from "../patch/json-value.ts";
import type { Schema } from "../schema/schema.ts";
import type { Comparison } from "./compare.ts";
import type { FieldSet } from "./field-set.ts";
import { type Atom, rootAtom } from "./typed-schema.ts";
import type { ManagedResource } from "./update.ts";

/** An object cannot be shown in the version of an entry. */
export class ConversionFailed extends Error {
  override readonly name = "ConversionFailed";

  /** What a conversion gives; a failure of it says `what` failed before why. */
  static naming<T>(what: string, convert: () => T): T {
    try {
      return convert();
    } catch (error) {
      if (!(error instanceof ConversionFailed)) throw error;
      throw new ConversionFailed(`${what}: ${error.message}`, { cause: error });
    }
  }
}

/** An API version whose fields are others than those of the version that is written. Conversions throw ConversionFailed. */
export interface OtherVersion {
  readonly schema: Schema | undefined;
  /** An object of the written version in this one. Neither way changes its argument; parts of a whole object may be missing. */
  convert(object: JsonObject): JsonObject;
  /** The other way. */
  revert(object: JsonObject): JsonObject;
}

export interface Touched {
  /** Paths that the write gives to its writer. */
  readonly taken: FieldSet;
  /** Paths that are gone. */
  readonly removed: FieldSet;
}

/** What a write touches, by the API version of an entry. */
export type TouchedFields = (apiVersion: string | undefined) => Touched;

/** `own` is the change in the version that is written; `compareIn` makes the same comparison in another one. */
export function touchedFields(
  endpoint: ManagedResource,
  own: Comparison,
  compareIn: (version: OtherVersion, atom: Atom) => Comparison,
): TouchedFields {
  const ours = filtered(own, endpoint);
  const others = new Map<string, Touched>();
  return (apiVersion = "") => {
    const known = others.get(apiVersion);
    if (known) return known;
    const version = endpoint.otherVersion?.(apiVersion);
    if (version === undefined) return ours;
    const touched = filtered(compareIn(version, rootAtom(version.schema)), endpoint);
    others.set(apiVersion, touched);
    return touched;
  };
}

function filtered({ added, modified, removed }: Comparison, endpoint: ManagedResource): Touched {
  return { taken: writable(added.union(modified), endpoint), removed: writable(removed, endpoint) };
}

/** What of a set can be written through an endpoint. */
export function writable(set: FieldSet, { resetFields, onlyFields }: ManagedResource): FieldSet {
  const kept = onlyFields ? set.matching(onlyFields) : set;
  return resetFields ? kept.recursiveDifference(resetFields) : kept;
}
