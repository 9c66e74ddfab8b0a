/**
 * Field management of ordinary writes (create, update, patch): what the write changed becomes its manager's, and nobody
 * else's. Follows apimachinery's managedfields and structured-merge-diff's merge.Updater.
 */
import { fieldsOf, type KubeObject } from "../object.ts";
import { isJsonObject, type JsonObject } from "../patch/json-value.ts";
import type { Schema } from "../schema/schema.ts";
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import { type Comparison, compare, isSame } from "./compare.ts";
import {
  capUpdateManagers,
  fieldsOfEntry,
  type ManagerIdentity,
  type Managers,
  managerIdentifier,
  managersOf,
  newEntry,
  sortedEntries,
  startingEntries,
} from "./entries.ts";
import { type FieldPattern, FieldSet, type FieldsTree, treeCovers, treeWithout } from "./field-set.ts";
import { UnindexableItem } from "./list-index.ts";
import { reconcileWithSchema } from "./reconcile.ts";
import { type Atom, rootAtom } from "./typed-schema.ts";
import { withNilFields, zeroObject } from "./zero-object.ts";

/** What field management needs to know of a resource. */
export interface ManagedResource {
  /** Of the object's kind; undefined makes every object free-form. */
  readonly schema: Schema | undefined;
  /** `apps/v1`: the version that is written. */
  readonly apiVersion: string;
  /** `status`, `scale`; empty or absent for the resource itself. */
  readonly subresource?: string | undefined;
  /** Fields that this endpoint resets to what is stored: nobody comes to own them through it. */
  readonly resetFields?: FieldSet | undefined;
  /** For an endpoint that changes nothing but these (pods/resize, pods/ephemeralcontainers). */
  readonly onlyFields?: readonly FieldPattern[] | undefined;
  /** Whether entries of another API version can be read; their paths are taken as they are. Absent: all can. */
  readonly isKnownVersion?: ((apiVersion: string) => boolean) | undefined;
}

export interface UpdateRequest extends ManagedResource {
  /** The stored object; undefined for a create. */
  readonly live: KubeObject | undefined;
  /** The object as it would be stored: defaulted, before mutating admission. Its own managedFields may ask for a change of them. */
  readonly next: KubeObject;
  readonly manager: string;
  /** RFC 3339 in whole seconds. */
  readonly now: string;
}

/**
 * The managedFields of the written object, undefined for none: also where a list of it cannot be told apart by its keys. A write that changes nothing gets the live entries back as
 * they are, without reading them; otherwise only entries that the change touches are read. An object that is stored without
 * managed fields stays so until something is applied to it.
 */
export function updateManagedFields(request: UpdateRequest): readonly ManagedFieldsEntry[] | undefined {
  const { live, next, schema } = request;
  const entries = startingEntries(live?.metadata.managedFields, next.metadata.managedFields, request.subresource);
  if (entries.length === 0 && live?.metadata.uid) return undefined;
  const before = live ? withNilFields(schema, withoutManagedFields(live)) : zeroObject(schema);
  const after = withNilFields(schema, withoutManagedFields(next));
  const atom = rootAtom(schema);
  const change = compareIfTyped(before, after, atom);
  if (change === undefined) return undefined;
  if (isSame(change)) return entries.length === 0 ? undefined : entries;
  const managers = managersOf(entries);
  const identity = identityOfWriter(request, "Update");
  recordChange(managers, change, atom, identity, request);
  capUpdateManagers(managers);
  return managers.size === 0 ? undefined : sortedEntries(managers);
}

function compareIfTyped(before: JsonObject, after: JsonObject, atom: Atom): Comparison | undefined {
  try {
    return compare(before, after, atom);
  } catch (error) {
    if (error instanceof UnindexableItem) return undefined;
    throw error;
  }
}

export function identityOfWriter(
  { manager, apiVersion, subresource }: ManagedResource & { readonly manager: string },
  operation: "Apply" | "Update",
): ManagerIdentity {
  return { manager: manager === "" ? "unknown" : manager, operation, apiVersion, subresource: subresource ?? "" };
}

interface ChangeContext extends ManagedResource {
  readonly now: string;
}

/** Moves what a change touched to one updater's entry. */
export function recordChange(
  managers: Managers,
  change: Comparison,
  atom: Atom,
  identity: ManagerIdentity,
  context: ChangeContext,
): void {
  dropUnknownVersions(managers, context);
  reconcileEntries(managers, atom, context.schema);
  const { taken, removed } = filtered(change, context);
  const owned = taken.difference(neverOwned);
  const touched = taken.union(removed);
  const id = managerIdentifier(identity);
  for (const [key, entry] of managers) {
    const tree = fieldsOfEntry(entry);
    // The writer's own entry keeps what it is about to take.
    const lost = key === id && treeCovers(tree, owned) ? removed : touched;
    keepFields(managers, key, entry, treeWithout(tree, lost));
  }
  if (owned.isEmpty) return;
  const own = managers.get(id);
  const tree = own ? fieldsOfEntry(own) : {};
  const fields = own && treeCovers(tree, owned) ? tree : FieldSet.fromFieldsV1(tree).union(owned).toFieldsV1();
  managers.set(id, newEntry(identity, fields, context.now));
}

/** Paths that a change gives to its writer, and paths that are gone. */
export function filtered(
  { added, modified, removed }: Comparison,
  endpoint: ManagedResource,
): { taken: FieldSet; removed: FieldSet } {
  return { taken: writable(added.union(modified), endpoint), removed: writable(removed, endpoint) };
}

/** What of a set can be written through an endpoint. */
export function writable(set: FieldSet, { resetFields, onlyFields }: ManagedResource): FieldSet {
  const kept = onlyFields ? set.matching(onlyFields) : set;
  return resetFields ? kept.recursiveDifference(resetFields) : kept;
}

/** Bookkeeping that the server itself writes: in no entry of a writer. */
export const neverOwned = FieldSet.ofFields(
  ["apiVersion"],
  ["kind"],
  ["metadata"],
  ["metadata", "name"],
  ["metadata", "namespace"],
  ["metadata", "creationTimestamp"],
  ["metadata", "selfLink"],
  ["metadata", "uid"],
  ["metadata", "clusterName"],
  ["metadata", "generation"],
  ["metadata", "managedFields"],
  ["metadata", "resourceVersion"],
);

export function keepFields(managers: Managers, key: string, entry: ManagedFieldsEntry, fields: FieldsTree): void {
  if (Object.keys(fields).length === 0) managers.delete(key);
  else if (fields !== entry.fieldsV1) managers.set(key, { ...entry, fieldsV1: fields });
}

export function dropUnknownVersions(managers: Managers, { isKnownVersion }: ManagedResource): void {
  if (isKnownVersion === undefined) return;
  for (const [key, { apiVersion }] of managers) if (!isKnownVersion(apiVersion ?? "")) managers.delete(key);
}

/** Schemas of built-in kinds change with the program only, and none has changed what is atomic. */
export function reconcileEntries(managers: Managers, atom: Atom, schema: Schema | undefined): void {
  if (schema === undefined || schema.model !== undefined) return;
  for (const [key, entry] of managers) {
    const set = FieldSet.fromFieldsV1(fieldsOfEntry(entry));
    const reconciled = reconcileWithSchema(set, atom);
    if (reconciled !== set) managers.set(key, { ...entry, fieldsV1: reconciled.toFieldsV1() });
  }
}

/** The object as fields, without metadata.managedFields; shares everything else. */
export function withoutManagedFields(object: KubeObject): JsonObject {
  const fields = fieldsOf(object);
  const { metadata } = fields;
  if (!isJsonObject(metadata) || !Object.hasOwn(metadata, "managedFields")) return fields;
  const { managedFields: _, ...rest } = metadata;
  return { ...fields, metadata: rest };
}

/** The manager of a request that names none: what stands before the first slash of its User-Agent. */
export function managerOfRequest(fieldManager: string | undefined, userAgent: string | undefined): string {
  if (fieldManager) return fieldManager;
  const product = userAgent?.split("/", 1)[0] ?? "";
  if (product.length <= managerBytesMax && /^[ -~]*$/.test(product)) return product;
  let manager = "";
  let bytes = 0;
  for (const character of product) {
    if (!/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character)) continue;
    bytes += Buffer.byteLength(character);
    if (bytes > managerBytesMax) break;
    manager += character;
  }
  return manager;
}
const managerBytesMax = 128;
