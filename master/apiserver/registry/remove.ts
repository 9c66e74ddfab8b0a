/** Deletes: at once, gracefully, or when finalizers allow (upstream's rest.BeforeDelete and store.Delete). */
import { conflict, notFound, type StatusError, staleObject } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import { RevisionMismatchError } from "../../store/store.ts";
import type { Entry } from "../watch-cache/entry.ts";
import { toStoredText } from "../watch-cache/stored-text.ts";
import { judge, mutate } from "./admit.ts";
import type { Strategy } from "./declaration.ts";
import { canonical } from "./decode-body.ts";
import { noObject } from "./unreadable.ts";
import { followed } from "./write-companion.ts";
import { addressedKey, entryFor, type WriteParts, type WriteScope } from "./write-scope.ts";

const ORPHAN = "orphan";
const FOREGROUND = "foregroundDeletion";
const MAX_ATTEMPTS = 100;

export interface Removal {
  /** The last state, or the state that now waits to go. */
  readonly entry: Entry;
  /** False while a grace period or finalizers hold it. */
  readonly isGone: boolean;
}

/** Tells whoever does not say what becomes of the dependents, where that is not what people expect. */
export function warnOfPropagation(scope: WriteScope, options: DeleteOptions): void {
  const { propagationWarning } = scope.stored.declaration.strategy ?? {};
  const saysNothing = options.propagationPolicy === undefined && options.orphanDependents === undefined;
  if (propagationWarning && saysNothing) scope.warnings.push(propagationWarning);
}

/** How admission is shown a deletion: by the object's name; without it, as one of a collection; or, where an eviction was
 *  admitted already, not at all. */
export type ShownDeletion = "named" | "unnamed" | "unshown";

/** Deletes one object. Throws StatusError. */
export async function remove(
  parts: WriteParts,
  scope: WriteScope,
  name: string,
  options: DeleteOptions,
  shown: ShownDeletion = "named",
): Promise<Removal> {
  const key = addressedKey(scope, name);
  warnOfPropagation(scope, options);
  // Others see to what is marked as well, and may be quicker: then it is gone, as was asked (kubernetes/kubernetes#19403).
  let marked: Entry | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const live = scope.stored.cache.get(key);
    if (marked && live?.view().metadata.uid !== marked.view().metadata.uid) return { entry: marked, isGone: true };
    if (!live) throw noObject(scope.resource, scope.stored.cache, key, name);
    checkPreconditions(scope, name, live, options);
    try {
      return await removeOnce(parts, scope, live, options, shown, (entry) => {
        marked = entry;
      });
    } catch (error) {
      if (!(error instanceof RevisionMismatchError)) throw error;
      if (!error.current && !marked) throw notFound(scope.resource.name, name);
      if (attempt >= MAX_ATTEMPTS) throw staleObject(scope.resource.name, name);
      await parts.hub.waitFor(error.current?.revision ?? (await parts.store.now()));
    }
  }
}

/** Throws Conflict where an object is not the one that is meant. */
export function checkPreconditions(
  scope: WriteScope,
  name: string,
  live: Entry,
  { preconditions }: DeleteOptions,
): void {
  const fail = (what: string, wanted: string, is: string, fate: string): StatusError =>
    scope.stored.declaration.strategy?.isRemovable
      ? // What outlives its first deletion has its preconditions checked by the store.
        conflict(
          scope.resource.name,
          name,
          `Precondition failed: ${what} in precondition: ${wanted}, ${what} in object meta: ${is}`,
        )
      : conflict(
          // Upstream names the kind here, as if it were the resource.
          { group: scope.resource.judgedKind.group, plural: scope.resource.gvk.kind },
          name,
          `the ${what} in the precondition (${wanted}) does not match the ${what} in record (${is}). The object might have been ${fate}`,
        );
  const uid = live.view().metadata.uid ?? "";
  if (preconditions?.uid !== undefined && preconditions.uid !== uid)
    throw fail("UID", preconditions.uid, uid, "deleted and then recreated");
  const { resourceVersion } = preconditions ?? {};
  if (resourceVersion !== undefined && resourceVersion !== String(live.revision)) {
    throw fail("ResourceVersion", resourceVersion, String(live.revision), "modified");
  }
}

async function admit(parts: WriteParts, scope: WriteScope, oldObject: KubeObject, shown: ShownDeletion): Promise<void> {
  if (shown === "unshown") return;
  const name = shown === "named" ? (oldObject.metadata.name ?? "") : "";
  const admitted = { operation: "DELETE", name, oldObject } as const;
  await mutate(parts, scope, admitted);
  await judge(parts, scope, admitted);
}

async function removeOnce(
  parts: WriteParts,
  scope: WriteScope,
  live: Entry,
  options: DeleteOptions,
  shown: ShownDeletion,
  noteMark: (marked: Entry) => void,
): Promise<Removal> {
  const { strategy } = scope.stored.declaration;
  const old = live.view();
  const plan = planDeletion(strategy, old, options, parts.now_ms());
  if (plan.kind === "goes already") return { entry: live, isGone: false };
  const asked = { ...scope, options: { ...scope.options, ...filledIn(strategy, old, options) } };
  // Shown in the version of the request; what no converter gives in that cannot be deleted by it.
  const admitted = async (before: Entry): Promise<void> =>
    admit(parts, asked, await scope.resource.working(before), shown);
  await admitted(live);
  switch (plan.kind) {
    case "wait":
      return { entry: live, isGone: false };
    case "remove":
      return { entry: await takeOut(parts, scope, live, plan.marked, admitted, noteMark), isGone: true };
    case "mark":
      return { entry: await markIn(parts, scope, live, plan.object), isGone: false };
  }
}

/** Gives the last state, under the deletion's revision. */
async function takeOut(
  parts: WriteParts,
  scope: WriteScope,
  live: Entry,
  marked: KubeObject | undefined,
  admitted: (old: Entry) => Promise<void>,
  noteMark: (marked: Entry) => void,
): Promise<Entry> {
  const last = marked ? await markIn(parts, scope, live, marked) : live;
  if (scope.dryRun) return last;
  // The mark and the removal are two steps of upstream's, and admission is shown both.
  if (marked) await admitted(last);
  if (marked) noteMark(last);
  const revision = await parts.store.delete(scope.stored.cache.prefix + live.key, last.revision);
  await parts.hub.waitFor(revision);
  await followed(parts, scope, { before: last.view() });
  return last.at(revision);
}

async function markIn(parts: WriteParts, scope: WriteScope, live: Entry, marked: KubeObject): Promise<Entry> {
  const object = canonical(marked, scope.resource.storedSchema);
  const text = toStoredText(object);
  if (text === live.stored) return live;
  if (scope.dryRun) return entryFor(scope, live.key, live.revision, text, object);
  const storeKey = scope.stored.cache.prefix + live.key;
  parts.hub.offer(storeKey, text, object);
  try {
    const revision = await parts.store.update(storeKey, text, live.revision);
    await parts.hub.waitFor(revision);
    return entryFor(scope, live.key, revision, text, object);
  } finally {
    parts.hub.withdraw(storeKey);
  }
}

/** What the server adds to the options of a deletion before admission sees them, as upstream. */
function filledIn(strategy: Strategy | undefined, old: KubeObject, options: DeleteOptions): DeleteOptions {
  const { uid, deletionTimestamp, deletionGracePeriodSeconds = 0 } = old.metadata;
  if (strategy?.isRemovable) return { preconditions: { uid, ...options.preconditions } };
  const isSettled = deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0;
  if (!strategy?.gracePeriodSeconds || isSettled) return {};
  return { gracePeriodSeconds: graceOf(strategy, old, options.gracePeriodSeconds) };
}

export type DeletionPlan =
  /** What goes by grace is marked first, however short that is: who watches sees that it was deleted, and when. */
  | { readonly kind: "remove"; readonly marked?: KubeObject | undefined }
  /** Its grace period runs and is not shortened, or it waits for what must happen before its last deletion. */
  | { readonly kind: "goes already" }
  /** A deletion is under way already, and this one asks for nothing more. */
  | { readonly kind: "wait" }
  | { readonly kind: "mark"; readonly object: KubeObject };

/** Whether an object can go at once, and if not, what it looks like while it waits. Pure. */
function planDeletion(
  strategy: Strategy | undefined,
  old: KubeObject,
  options: DeleteOptions,
  now_ms: number,
): DeletionPlan {
  const finalizers = finalizersFor(strategy, old, options);
  const held = finalizers.length > 0 || strategy?.isRemovable?.(old) === false;
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  const grace_s = graceOf(strategy, old, options.gracePeriodSeconds);
  if (deletionTimestamp !== undefined) {
    const given_s = deletionGracePeriodSeconds ?? 0;
    // Only ever sooner than it was: a longer period than the running one is ignored.
    const shortened = options.gracePeriodSeconds !== undefined && grace_s < given_s;
    if ((!shortened && given_s > 0) || strategy?.isRemovable?.(old) === false) return { kind: "goes already" };
    const sooner = shortenedGrace(Date.parse(deletionTimestamp) - given_s * 1000, grace_s, now_ms);
    if (grace_s === 0 && !held) {
      return { kind: "remove", marked: given_s > 0 ? mark(strategy, old, finalizers, sooner).object : undefined };
    }
    if (!shortened) {
      return sameList(finalizers, old.metadata.finalizers) ? { kind: "wait" } : mark(strategy, old, finalizers);
    }
    return mark(strategy, old, finalizers, sooner);
  }
  if (grace_s === 0 && !held) {
    const now = { at_ms: now_ms, grace_s };
    return { kind: "remove", marked: strategy?.gracePeriodSeconds && mark(strategy, old, finalizers, now).object };
  }
  return mark(strategy, old, finalizers, { at_ms: now_ms + grace_s * 1000, grace_s });
}

/**
 * A grace period that ends sooner than the one that runs since `begun_ms`, but not in the past: one that is over already is the
 * shortest that whoever has to see to the object's end still gets to see.
 */
function shortenedGrace(begun_ms: number, grace_s: number, now_ms: number): { at_ms: number; grace_s: number } {
  const at_ms = begun_ms + grace_s * 1000;
  return at_ms >= now_ms ? { at_ms, grace_s } : { at_ms: now_ms, grace_s: Math.min(grace_s, 1) };
}

function graceOf(strategy: Strategy | undefined, old: KubeObject, requested: number | undefined): number {
  if (!strategy?.gracePeriodSeconds) return 0;
  const grace_s = strategy.gracePeriodSeconds(old, requested);
  return grace_s < 0 ? 1 : grace_s;
}

function mark(
  strategy: Strategy | undefined,
  old: KubeObject,
  finalizers: readonly string[],
  deletion?: { readonly at_ms: number; readonly grace_s: number },
): Extract<DeletionPlan, { kind: "mark" }> {
  const object = cloneJson(old) as KubeObject;
  const { metadata } = object;
  if (finalizers.length > 0) metadata.finalizers = [...finalizers];
  else delete metadata.finalizers;
  if (deletion) {
    metadata.deletionTimestamp = rfc3339(deletion.at_ms);
    metadata.deletionGracePeriodSeconds = deletion.grace_s;
    // What outlives its first deletion is marked by an update of its own; a second mark is no new wish.
    const isFirst = old.metadata.deletionTimestamp === undefined;
    if (isFirst && (metadata.generation ?? 0) > 0 && !strategy?.isRemovable)
      metadata.generation = (metadata.generation ?? 0) + 1;
  }
  strategy?.prepareForDelete?.(object);
  return { kind: "mark", object };
}

/** The finalizers that the garbage collector acts upon, by the propagation that is asked for. */
function finalizersFor(strategy: Strategy | undefined, old: KubeObject, options: DeleteOptions): readonly string[] {
  const present = old.metadata.finalizers ?? [];
  if (strategy?.defaultPropagation === "Unsupported") return present;
  const wanted = propagationOf(strategy, present, options);
  if (wanted === undefined) return present;
  const others = present.filter((finalizer) => finalizer !== ORPHAN && finalizer !== FOREGROUND);
  if (wanted === "Background") return others;
  const finalizer = wanted === "Orphan" ? ORPHAN : FOREGROUND;
  return present.includes(finalizer) && present.length === others.length + 1 ? present : [...others, finalizer];
}

function propagationOf(
  strategy: Strategy | undefined,
  present: readonly string[],
  { propagationPolicy, orphanDependents }: DeleteOptions,
): string | undefined {
  if (propagationPolicy !== undefined) return propagationPolicy;
  if (orphanDependents !== undefined) return orphanDependents ? "Orphan" : "Background";
  // What was asked for before stands until something else is asked for.
  if (present.includes(ORPHAN) || present.includes(FOREGROUND)) return undefined;
  return strategy?.defaultPropagation === "Orphan" ? "Orphan" : undefined;
}

const sameList = (a: readonly string[], b: readonly string[] | undefined): boolean =>
  a.length === (b ?? []).length && a.every((item, index) => item === b?.[index]);
