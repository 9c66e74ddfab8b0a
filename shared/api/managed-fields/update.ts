/**
 * Field management of ordinary writes (create, update, patch): what the write changed becomes its manager's, and nobody
 * else's. Follows apimachinery's managedfields and structured-merge-diff's merge.Updater.
 */
import { fieldsOf, type KubeObject } from "../object.ts";
import { isJsonObject, type JsonObject } from "../patch/json-value.ts";
import type { Schema } from "../schema/schema.ts";
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import { compare, isSame } from "./compare.ts";
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
import { type FieldPattern, FieldSet } from "./field-set.ts";
import { type FieldsTree, treeCovers, treeWithout } from "./fields-tree.ts";
import { UnindexableItem } from "./list-index.ts";
import { reconcileWithSchema } from "./reconcile.ts";
import { ConversionFailed, type OtherVersion, type TouchedFields, touchedFields } from "./touched-fields.ts";
import { rootAtom } from "./typed-schema.ts";
import { typeProblems } from "./validate.ts";
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
  /** Whether entries of another API version can be read. Absent: all can. */
  readonly isKnownVersion?: ((apiVersion: string) => boolean) | undefined;
  /** An API version with other fields than this one; undefined where paths of its entries are taken as they are. */
  readonly otherVersion?: ((apiVersion: string) => OtherVersion | undefined) | undefined;
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
 * The managedFields of the written object, undefined for none: also where a list of it cannot be told apart by its keys,
 * where it cannot be shown in the version of an entry, or where a custom object is not of its type, as one may be sent with a
 * status that is not kept. A write that changes nothing gets the live entries back as they are,
 * without reading them; otherwise only entries that the change touches are read. An object that is stored without managed
 * fields stays so until something is applied to it.
 */
export function updateManagedFields(request: UpdateRequest): readonly ManagedFieldsEntry[] | undefined {
  const { live, next } = request;
  const entries = startingEntries(live?.metadata.managedFields, next.metadata.managedFields, request.subresource);
  if (entries.length === 0 && live?.metadata.uid) return undefined;
  try {
    return entriesAfter(request, entries);
  } catch (error) {
    if (error instanceof UnindexableItem || error instanceof ConversionFailed) return undefined;
    throw error;
  }
}

function entriesAfter(
  request: UpdateRequest,
  entries: readonly ManagedFieldsEntry[],
): readonly ManagedFieldsEntry[] | undefined {
  const { schema } = request;
  const live = request.live && withoutManagedFields(request.live);
  const next = withoutManagedFields(request.next);
  const atom = rootAtom(schema);
  const misfits = (object: JsonObject | undefined): boolean =>
    object !== undefined && typeProblems(object, atom, { allowDoubles: true }) !== undefined;
  // Decoding sees to it for all other kinds.
  if (schema?.structural && (misfits(live) || misfits(next))) return undefined;
  const change = compare(live ? withNilFields(schema, live) : zeroObject(schema), withNilFields(schema, next), atom);
  // What is stored is in order; what the request asks for may be in any, hold a manager twice, or one without fields.
  const areStored = entries === request.live?.metadata.managedFields;
  if (isSame(change) && (areStored || entries.length === 0)) return areStored ? entries : undefined;
  const touched = touchedFields(request, change, (other, otherAtom) => {
    const form = (object: JsonObject): JsonObject => withNilFields(other.schema, other.convert(object));
    return compare(live ? form(live) : zeroObject(other.schema), form(next), otherAtom);
  });
  const managers = managersOf(entries);
  const identity = identityOfWriter(request, "Update");
  recordChange(managers, touched, identity, request);
  capUpdateManagers(managers);
  return managers.size === 0 ? undefined : sortedEntries(managers);
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
  touched: TouchedFields,
  identity: ManagerIdentity,
  context: ChangeContext,
): void {
  dropUnknownVersions(managers, context);
  reconcileEntries(managers, context);
  const owned = touched(context.apiVersion).taken.difference(neverOwned);
  const id = managerIdentifier(identity);
  for (const [key, entry] of managers) {
    const tree = fieldsOfEntry(entry);
    // The writer's own entry keeps what it is about to take.
    const { taken, removed } = touched(entry.apiVersion);
    const lost = key === id && treeCovers(tree, owned) ? removed : taken.union(removed);
    keepFields(managers, key, entry, treeWithout(tree, lost));
  }
  if (owned.isEmpty) return;
  const own = managers.get(id);
  const tree = own ? fieldsOfEntry(own) : {};
  const fields = own && treeCovers(tree, owned) ? tree : FieldSet.fromFieldsV1(tree).union(owned).toFieldsV1();
  managers.set(id, newEntry(identity, fields, context.now));
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
export function reconcileEntries(managers: Managers, { schema, otherVersion }: ManagedResource): void {
  if (schema === undefined || schema.model !== undefined) return;
  for (const [key, entry] of managers) {
    const other = otherVersion?.(entry.apiVersion ?? "");
    const atom = rootAtom(other ? other.schema : schema);
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
