/** Updates: one read-compare-write loop for PUT, PATCH and apply (upstream's rest.BeforeUpdate and GuaranteedUpdate). */
import { conflict, type FieldError, invalid, notFound, type StatusError, staleObject } from "#shared/api/errors.ts";
import { settledManagedFields, updateManagedFields } from "#shared/api/managed-fields/index.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { cloneJson, equalJson } from "#shared/api/patch/json-value.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { ManagedFieldsEntry } from "#shared/api/types/meta-v1.generated.ts";
import { RevisionMismatchError } from "../../store/store.ts";
import type { RequestLimits } from "../admission/admission.ts";
import { withoutOldFaults } from "../resources/validation/field.ts";
import { validateGenerateName, validateObjectMetaUpdate } from "../resources/validation/object-meta.ts";
import type { Entry } from "../watch-cache/entry.ts";
import { assertStorable, atRest, toStoredText } from "../watch-cache/stored-text.ts";
import { judge, mutate } from "./admit.ts";
import { metadataRulesOf } from "./create.ts";
import type { Strategy } from "./declaration.ts";
import { canonical } from "./decode-body.ts";
import { withoutRepeatedOwners } from "./owner-references.ts";
import { checkRevision, namesRevision } from "./revision.ts";
import { noObject } from "./unreadable.ts";
import { reckonManagedFields } from "./version-conversions.ts";
import { followed } from "./write-companion.ts";
import { addressedKey, entryFor, timestamp, type WriteParts, type WriteScope } from "./write-scope.ts";

/** What an update wants the object to become. */
export interface Next {
  /** In the stored version; owned by this call. */
  readonly draft: KubeObject;
  /** From an apply, which has worked them out already. */
  readonly managedFields?: readonly ManagedFieldsEntry[] | undefined;
  /** Made from the present object: begins anew when another write came first, whatever revision the draft names. */
  readonly fromPresent?: boolean;
}

/** How a subresource carries over what it may not change; see SubresourceUpdate in declaration.ts. */
export interface PartialUpdate {
  prepare(draft: KubeObject, old: KubeObject): void;
  validate?(object: KubeObject, old: KubeObject): FieldError[];
}

export interface Change {
  readonly name: string;
  readonly update?: PartialUpdate | undefined;
  /** Made of the present object by a patch. */
  readonly isPatch?: boolean;
  /** The server's own change of bookkeeping (a binding): no admission, and the generation stays. */
  readonly isInternal?: boolean;
  /** Called for each attempt with the present object, frozen. */
  next(live: Entry): Promise<Next> | Next;
}

/** Changes an object and answers with it once every reader sees it; a change of nothing writes nothing. One that does not
 *  insist on a revision begins anew when another write came first, as often as its time allows: somebody has got on each time. */
export async function update(parts: WriteParts, scope: WriteScope, change: Change): Promise<Entry> {
  const key = addressedKey(scope, change.name);
  for (;;) {
    const live = scope.stored.cache.get(key);
    if (!live) throw noObject(scope.resource, scope.stored.cache, key, change.name);
    try {
      return await updateOnce(parts, scope, change, live);
    } catch (error) {
      if (!(error instanceof RevisionMismatchError)) throw error;
      if (!error.current) throw notFound(scope.resource.name, change.name);
      if (isOver(scope.limits)) throw staleObject(scope.resource.name, change.name);
      await parts.hub.waitFor(error.current.revision);
    }
  }
}

const isOver = (limits: RequestLimits | undefined): boolean =>
  limits !== undefined &&
  (limits.signal.aborted || performance.now() >= (limits.deadline_ms ?? Number.POSITIVE_INFINITY));

async function updateOnce(parts: WriteParts, scope: WriteScope, change: Change, live: Entry): Promise<Entry> {
  const { resource } = scope;
  const { strategy } = resource.workingDeclaration;
  const old = await resource.working(live);
  const { draft, managedFields, fromPresent = false } = await change.next(live);
  insistOnIdentity(scope, change, draft, old);
  const { resourceVersion = "" } = draft.metadata;
  checkRevision(resourceVersion);
  const named = namesRevision(resourceVersion);
  const insists = named && !fromPresent;
  if (insists && draft.metadata.resourceVersion !== String(live.revision)) {
    throw staleObject(resource.name, change.name);
  }
  if (!named && !fromPresent && strategy?.allowUnconditionalUpdate === false)
    throw mustNameRevision(scope, change.name);
  if (managedFields === undefined) strategy?.dropNulls?.(draft);
  strategy?.applyDefaults?.(draft);
  if (managedFields === undefined && !change.isPatch) withoutRepeatedOwners(draft, scope.warnings, "sent");
  setManagedFields(draft, managedFields ?? (await managedFieldsOf(parts, scope, draft, old)));
  if (!change.isInternal) {
    await mutate(parts, scope, { operation: "UPDATE", name: change.name, object: draft, oldObject: old });
    assertUnrenamed(scope, draft, old);
    withoutRepeatedOwners(draft, scope.warnings, "admitted");
  }
  const object = prepared(scope, change, draft, old);
  validate(scope, change, object, old);
  if (!change.isInternal) await judge(parts, scope, { operation: "UPDATE", name: change.name, object, oldObject: old });
  try {
    return await replace(parts, scope, live, object);
  } catch (error) {
    if (error instanceof RevisionMismatchError && insists && error.current) {
      throw staleObject(resource.name, change.name);
    }
    throw error;
  }
}

/** Conflict: the object that is meant has another UID than the present one; `present` is empty where there is none. */
export const anotherUid = (scope: WriteScope, name: string, uids: Unequal): StatusError =>
  preconditionFailed(scope, name, "UID", uids);

interface Unequal {
  readonly given: string;
  readonly present: string;
}

/** Admission may have changed the name, which stays. Throws Invalid. */
function assertUnrenamed({ resource }: WriteScope, { metadata: { name = "" } }: KubeObject, old: KubeObject): void {
  if (name === old.metadata.name) return;
  const message = `Invalid value: ${goQuote(name)}: field is immutable`;
  throw invalid(resource.judgedKind, name, [{ field: "metadata.name", reason: "FieldValueInvalid", message }]);
}

/** Conflict: the object is not the one, or not in the revision, that is meant. */
export function preconditionFailed(
  { resource, namespace }: WriteScope,
  name: string,
  what: "UID" | "ResourceVersion",
  { given, present }: Unequal,
): StatusError {
  const key = [resource.name.plural, namespace, name].filter((part) => part !== undefined).join("/");
  return conflict(
    resource.name,
    name,
    `StorageError: invalid object, Code: 4, Key: /${key}, ResourceVersion: 0, AdditionalErrorMsg: ` +
      `Precondition failed: ${what} in precondition: ${given}, ${what} in object meta: ${present}`,
  );
}

/** A replacement names the object that it is for; a patch would change what may not change. */
function insistOnIdentity(
  scope: WriteScope,
  { name, isPatch = false }: Change,
  { metadata }: KubeObject,
  old: KubeObject,
): void {
  // That a patch changes the UID is told together with what else is wrong.
  if (metadata.uid && metadata.uid !== old.metadata.uid && !isPatch) {
    throw anotherUid(scope, name, { given: metadata.uid, present: old.metadata.uid ?? "" });
  }
  if (scope.resource.declaration.ref.namespaced) metadata.namespace ||= old.metadata.namespace;
  else delete metadata.namespace;
}

function mustNameRevision({ resource }: WriteScope, name: string): Error {
  // Upstream's generic store knows the resource's name, not its kind.
  const { group, plural } = resource.name;
  return invalid({ group, kind: plural }, name, [
    {
      field: "metadata.resourceVersion",
      reason: "FieldValueInvalid",
      message: "Invalid value: 0: must be specified for an update",
    },
  ]);
}

function managedFieldsOf(
  parts: WriteParts,
  scope: WriteScope,
  draft: KubeObject,
  old: KubeObject,
): Promise<readonly ManagedFieldsEntry[] | undefined> {
  const { resource, manager } = scope;
  const [live, next] = [resource.fromWorking(old), resource.fromWorking(draft)];
  const written = { live, next, manager, now: timestamp(parts) };
  return reckonManagedFields(scope, (managed) => updateManagedFields({ ...managed, ...written }));
}

function setManagedFields({ metadata }: KubeObject, entries: readonly ManagedFieldsEntry[] | undefined): void {
  if (entries && entries.length > 0) metadata.managedFields = [...entries];
  else delete metadata.managedFields;
}

/** The draft with everything that this endpoint may not change taken from the present object. */
function prepared(scope: WriteScope, change: Change, draft: KubeObject, old: KubeObject): KubeObject {
  const { subresource, resource } = scope;
  const { strategy } = resource.workingDeclaration;
  let next = draft;
  if (change.update) change.update.prepare(next, old);
  else if (subresource === "status") {
    next = withStatus(scope, draft, old);
    strategy?.prepareForStatusUpdate?.(next, old);
  } else {
    if (strategy?.hasStatus) keepField(next, old, "status");
    strategy?.prepareForUpdate?.(next, old);
  }
  keepMetadata(next, old);
  const object = canonical(next, resource.workingSchema);
  // A status write may carry annotations, which count for some kinds; it is no new wish of anybody's all the same.
  const mayRaise = strategy?.hasGeneration && !change.isInternal && subresource !== "status";
  if (mayRaise && basisChanged(strategy, object, old)) {
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  }
  strategy?.dropDisabled?.(object, old);
  const entries = settledManagedFields(old, object);
  if (entries !== object.metadata.managedFields) setManagedFields(object, entries);
  return object;
}

function withStatus({ stored }: WriteScope, draft: KubeObject, old: KubeObject): KubeObject {
  const merged: Record<string, unknown> = { ...fieldsOf(old) };
  const { status } = fieldsOf(draft) as { status?: unknown };
  if (status === undefined) delete merged["status"];
  else merged["status"] = status;
  const { custom, strategy } = stored.declaration;
  const resets = custom ? ([["metadata"]] as const) : (strategy?.statusResets ?? []);
  let metadata = { ...draft.metadata };
  for (const [, field] of resets) {
    metadata = field
      ? { ...metadata, [field]: old.metadata[field] }
      : { ...old.metadata, managedFields: draft.metadata.managedFields };
  }
  merged["metadata"] = metadata;
  return merged as unknown as KubeObject;
}

function keepField(next: KubeObject, old: KubeObject, field: string): void {
  const value = fieldsOf(old)[field];
  if (value === undefined) delete fieldsOf(next)[field];
  else fieldsOf(next)[field] = cloneJson(value);
}

/** Bookkeeping that belongs to the server. */
function keepMetadata({ metadata }: KubeObject, old: KubeObject): void {
  const kept = old.metadata;
  metadata.name = kept.name;
  metadata.uid ||= kept.uid;
  metadata.creationTimestamp = kept.creationTimestamp;
  if (kept.deletionTimestamp) metadata.deletionTimestamp = kept.deletionTimestamp;
  metadata.deletionGracePeriodSeconds ??= kept.deletionGracePeriodSeconds;
  metadata.generation = kept.generation;
  metadata.resourceVersion = kept.resourceVersion;
  for (const field of Object.keys(metadata) as (keyof typeof metadata)[]) {
    if (metadata[field] === undefined) delete metadata[field];
  }
}

function basisChanged(strategy: Strategy, object: KubeObject, old: KubeObject): boolean {
  const basis = strategy.generationBasis ?? ((each: KubeObject) => fieldsOf(each)["spec"]);
  return !equalJson(basis(object), basis(old));
}

function validate(scope: WriteScope, change: Change, object: KubeObject, old: KubeObject): void {
  const { subresource, resource } = scope;
  const { strategy } = resource.workingDeclaration;
  const warn = (text: string): void => {
    if (!scope.warnings.includes(text)) scope.warnings.push(text);
  };
  const judged = (next: KubeObject, warnOfNext: (text: string) => void): FieldError[] =>
    (change.update
      ? change.update.validate?.(next, old)
      : subresource === "status"
        ? strategy?.validateStatusUpdate?.(next, old, warnOfNext)
        : strategy?.validateUpdate?.(next, old, warnOfNext)) ?? [];
  // Nobody asked about what is there already.
  const own = withoutOldFaults(judged(object, warn), () => judged(old, () => undefined));
  if (change.isInternal) return;
  const rules = metadataRulesOf(resource.workingDeclaration);
  const faults = [
    ...validateObjectMetaUpdate(object.metadata, old.metadata, rules),
    ...(strategy?.judgesNameOnUpdate && !/^(status|finalize)$/.test(subresource ?? "")
      ? validateGenerateName(object.metadata, rules)
      : []),
    ...own,
  ];
  if (faults.length > 0) throw invalid(resource.judgedKind, change.name, faults);
  if (subresource === undefined || subresource === "scale")
    scope.warnings.push(...(strategy?.warnings?.(object, old) ?? []));
}

/** Writes over what was seen; a deletion that only waited for its last finalizer is completed instead. */
async function replace(parts: WriteParts, scope: WriteScope, live: Entry, next: KubeObject): Promise<Entry> {
  const { stored, resource } = scope;
  const made = await resource.toRest(next);
  const object = scope.dryRun ? made : atRest(made);
  const text = toStoredText(object);
  const storeKey = stored.cache.prefix + live.key;
  if (isFreed(stored.declaration.strategy, object, live.view())) {
    if (!scope.dryRun) {
      await parts.hub.waitFor(await parts.store.delete(storeKey, live.revision));
      await followed(parts, scope, { before: live.view() });
    }
    return entryFor(scope, live.key, live.revision, text, object);
  }
  if (text === live.stored) return live;
  if (scope.dryRun) return entryFor(scope, live.key, live.revision, text, object);
  assertStorable(text, stored.declaration.custom === true, live.stored);
  parts.hub.offer(storeKey, text, object);
  try {
    const before = live.view();
    const revision = await parts.store.update(storeKey, text, live.revision);
    await parts.hub.waitFor(revision);
    await followed(parts, scope, { before, after: object });
    const cached = stored.cache.get(live.key);
    return cached?.revision === revision ? cached : entryFor(scope, live.key, revision, text, object);
  } finally {
    parts.hub.withdraw(storeKey);
  }
}

/** True when a deletion was begun before and nothing holds the object any more. */
function isFreed(strategy: Strategy | undefined, object: KubeObject, old: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  if (!deletionTimestamp || (deletionGracePeriodSeconds ?? 0) > 0) return false;
  return (object.metadata.finalizers ?? []).length === 0 && strategy?.isRemovable?.(object) !== false;
}
