/**
 * Server-side apply (KEP-555): an applied configuration merged into the live object, with conflicts, shared and lost
 * ownership, and removal of what its manager applied before and no longer does. Follows structured-merge-diff's
 * merge.Updater and apimachinery's managedfields.
 */
import { badRequest } from "../errors.ts";
import { apiVersionOf, type KubeObject, parseApiVersion } from "../object.ts";
import { equalJson, isJsonObject, type JsonObject } from "../patch/json-value.ts";
import { unclassifiedError } from "../patch/patch-error.ts";
import type { ManagedFieldsEntry } from "../types/meta-v1.generated.ts";
import { compare, isSame } from "./compare.ts";
import { type ApplyConflict, applyConflictError } from "./conflict.ts";
import {
  fieldsOfEntry,
  MalformedManagedFields,
  type Managers,
  managerIdentifier,
  managersOf,
  newEntry,
  readEntries,
  sortedEntries,
} from "./entries.ts";
import { toFieldSet } from "./extract.ts";
import { FieldSet } from "./field-set.ts";
import { treeWithout } from "./fields-tree.ts";
import { allowedByLastApplied, withLastApplied } from "./last-applied.ts";
import { UnindexableItem } from "./list-index.ts";
import { merge } from "./merge.ts";
import { prune } from "./prune.ts";
import { ConversionFailed, type TouchedFields, touchedFields, writable } from "./touched-fields.ts";
import { type Atom, rootAtom } from "./typed-schema.ts";
import {
  dropUnknownVersions,
  identityOfWriter,
  keepFields,
  type ManagedResource,
  neverOwned,
  reconcileEntries,
  recordChange,
  withoutManagedFields,
} from "./update.ts";
import { typeProblems } from "./validate.ts";
import { withNilFields, zeroObject } from "./zero-object.ts";

export interface ApplyRequest extends ManagedResource {
  /** Of the resource that is applied to. */
  readonly kind: string;
  /** The stored object; undefined when the apply creates it. */
  readonly live: KubeObject | undefined;
  /** The configuration as the client sent it: not defaulted, not pruned. */
  readonly config: JsonObject;
  readonly manager: string;
  /** Takes fields from their owners instead of answering with a conflict. */
  readonly force: boolean;
  /** RFC 3339 in whole seconds. */
  readonly now: string;
}

export interface Applied {
  /** The merged object, without metadata.managedFields, still to be defaulted. May hold nulls where a list or map has lost all it had. */
  readonly object: KubeObject;
  readonly managedFields: readonly ManagedFieldsEntry[] | undefined;
}

/**
 * Applies a configuration. Throws 409 with a cause for every conflict, 400 for a configuration of another kind or with
 * managedFields, and 500 (as upstream does) for one that does not fit the type.
 */
export function applyConfiguration(request: ApplyRequest): Applied {
  const { live } = request;
  checkConfiguration(request);
  const atom = rootAtom(request.schema);
  const liveFields = live
    ? withNilFields(request.schema, withoutManagedFields(live))
    : { apiVersion: request.apiVersion, kind: request.kind };
  try {
    return applyTo(request, liveFields, atom);
  } catch (error) {
    if (error instanceof ConversionFailed) throw unclassifiedError(error.message);
    if (!(error instanceof UnindexableItem)) throw error;
    const problems = typeProblems(liveFields, atom, { allowDoubles: true }) ?? error.message;
    const failed = live?.metadata.managedFields?.length
      ? `failed to create typed live object (${describe(liveFields)})`
      : `failed to create manager for existing fields: failed to convert new object (${describe(liveFields)}) to smd typed`;
    throw unclassifiedError(`${failed}: ${problems}`);
  }
}

function applyTo(request: ApplyRequest, liveFields: JsonObject, atom: Atom): Applied {
  const { config } = request;
  const managers = startingManagers(request, liveFields, atom);
  const problems = typeProblems(config, atom);
  if (problems !== undefined) {
    throw unclassifiedError(`failed to create typed patch object (${describe(config)}): ${problems}`);
  }
  let outcome = applyOnce(request, liveFields, managers, atom, request.force);
  if ("conflicts" in outcome) {
    const allowed =
      request.manager === "kubectl" ? allowedByLastApplied(liveFields, request.apiVersion, atom) : undefined;
    const conflicts = outcome.conflicts.filter(({ path }) => !allowed?.has(path));
    if (allowed === undefined || conflicts.length > 0) throw applyConflictError(conflicts);
    outcome = applyOnce(request, liveFields, managers, atom, true);
    if ("conflicts" in outcome) throw applyConflictError(outcome.conflicts);
  }
  const object = request.manager === "kubectl" ? withLastApplied(outcome.object, config) : outcome.object;
  return {
    object: object as unknown as KubeObject,
    managedFields: outcome.managers.size === 0 ? undefined : sortedEntries(outcome.managers),
  };
}

function checkConfiguration({ config, apiVersion, kind }: ApplyRequest): void {
  // Of the core group, `/v1` is as good as `v1`.
  const given = apiVersionOf(parseApiVersion(String(config["apiVersion"] ?? "")));
  if (given !== apiVersion || config["kind"] !== kind) {
    throw badRequest(`invalid object type: ${describeKind(config["apiVersion"], config["kind"])}`);
  }
  const { metadata } = config;
  const managedFields = isJsonObject(metadata) ? metadata["managedFields"] : undefined;
  // What is no list of objects is none to upstream: it is found unfit with the rest, or left out.
  if (Array.isArray(managedFields) && managedFields.every(isJsonObject))
    throw badRequest("metadata.managedFields must be nil");
}

function describeKind(apiVersion: unknown, kind: unknown): string {
  const { group, version } = parseApiVersion(String(apiVersion ?? ""));
  return `${group}/${version}, Kind=${String(kind ?? "")}`;
}

function describe(object: JsonObject): string {
  const metadata = isJsonObject(object["metadata"]) ? object["metadata"] : {};
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return `${text(metadata["namespace"])}/${text(metadata["name"])}; ${describeKind(object["apiVersion"], object["kind"])}`;
}

/** The live object's entries. An object without any is given to `before-first-apply` as it stands. */
function startingManagers(request: ApplyRequest, live: JsonObject, atom: Atom): Managers {
  const entries = request.live?.metadata.managedFields ?? [];
  let managers: Managers;
  try {
    managers = managersOf(entries.some((entry) => entry.fieldsV1 === undefined) ? readEntries(entries) : entries);
  } catch (error) {
    if (!(error instanceof MalformedManagedFields)) throw error;
    throw unclassifiedError(`failed to decode managed fields: ${error.message}`);
  }
  if (managers.size > 0 || request.live === undefined) return managers;
  const change = compare(zeroObject(request.schema), live, atom);
  if (!isSame(change)) {
    const identity = identityOfWriter({ ...request, manager: "before-first-apply" }, "Update");
    const touched = touchedFields(request, change, (other, otherAtom) =>
      compare(zeroObject(other.schema), withNilFields(other.schema, other.convert(live)), otherAtom),
    );
    recordChange(managers, touched, identity, request);
  }
  return managers;
}

/** Whoever applies must be able to see the object as every owner does. Throws ConversionFailed. */
function checkConvertible(managers: Managers, live: JsonObject, { otherVersion }: ApplyRequest): void {
  for (const apiVersion of new Set([...managers.values()].map((entry) => entry.apiVersion ?? ""))) {
    otherVersion?.(apiVersion)?.convert(live);
  }
}

type Outcome =
  | { readonly object: JsonObject; readonly managers: Managers }
  | { readonly conflicts: readonly ApplyConflict[] };

function applyOnce(request: ApplyRequest, live: JsonObject, start: Managers, atom: Atom, force: boolean): Outcome {
  const { config } = request;
  const managers: Managers = new Map(start);
  dropUnknownVersions(managers, request);
  checkConvertible(managers, live, request);
  reconcileEntries(managers, request);
  const identity = identityOfWriter(request, "Apply");
  const id = managerIdentifier(identity);
  const previous = managers.get(id);
  const set = writable(toFieldSet(config, atom), request);
  managers.set(id, newEntry(identity, set.toFieldsV1(), previous?.time));

  const merged = merge(live, config, atom) as JsonObject;
  const object = prune(merged, managers, previous, request);

  const touched = touchedFields(request, compare(live, object, atom), (other, otherAtom) => {
    const before = ConversionFailed.naming("failed to convert old object", () => other.convert(live));
    const after = ConversionFailed.naming("failed to convert new object", () => other.convert(object));
    return compare(before, after, otherAtom);
  });
  const conflicts = force ? [] : conflictsOf(managers, id, touched);
  if (conflicts.length > 0) return { conflicts };
  for (const [key, entry] of managers) {
    if (key === id) continue;
    const { taken, removed } = touched(entry.apiVersion);
    keepFields(managers, key, entry, treeWithout(fieldsOfEntry(entry), taken.union(removed)));
  }
  const isNoop = equalJson(live, object);
  const owned = set.difference(neverOwned);
  if (owned.isEmpty) managers.delete(id);
  else managers.set(id, newEntry(identity, owned.toFieldsV1(), isNoop ? previous?.time : request.now));
  return { object: isNoop ? live : object, managers };
}

function conflictsOf(managers: Managers, ownId: string, touched: TouchedFields): ApplyConflict[] {
  const conflicts: ApplyConflict[] = [];
  for (const [id, owner] of managers) {
    if (id === ownId) continue;
    const { taken } = touched(owner.apiVersion);
    for (const path of FieldSet.fromFieldsV1(fieldsOfEntry(owner)).intersection(taken).paths()) {
      conflicts.push({ id, owner, path });
    }
  }
  return conflicts;
}
