/** Promises about what is committed, whoever wrote it. */
import type { KubeObject } from "#shared/api/object.ts";
import { type Call, type Change, type History, tagsOf, type Violation } from "../history.ts";
import { prefixOf } from "../keys.ts";
import {
  clusterIpsOf,
  nodePortsOf,
  quotaCounts,
  quotaHard,
  quotaKey,
  quotaNamespace,
  resources,
} from "../resources.ts";
import type { Timeline } from "../timeline.ts";

export function checkObjects({ changes, calls }: History, timeline: Timeline): Violation[] {
  return [
    ...changes.flatMap((change) => [
      ...checkUid(change, timeline),
      ...checkGeneration(change, timeline),
      ...checkOwners(change),
    ]),
    ...checkUidsOnce(changes, timeline),
    ...checkAllocations(changes),
    ...checkQuota(changes, calls, timeline),
    ...checkApplied(calls, timeline),
  ];
}

const at = (promise: string, { key, revision }: Change, what: string): Violation => ({
  promise,
  what: `${key} at ${revision}: ${what}`,
});

function checkUid(change: Change, timeline: Timeline): Violation[] {
  const before = timeline.before(change);
  if (!before || !change.object) return [];
  if (before.metadata.uid === change.object.metadata.uid) return [];
  return [
    at("a uid stays as long as its object", change, `${change.object.metadata.uid} after ${before.metadata.uid}`),
  ];
}

function checkUidsOnce(changes: readonly Change[], timeline: Timeline): Violation[] {
  const uids = new Set<string | undefined>();
  return changes.flatMap((change) => {
    if (!change.object || timeline.before(change)) return [];
    const { uid } = change.object.metadata;
    if (uid === undefined || uids.has(uid)) return [at("a uid is given once", change, `${uid}`)];
    uids.add(uid);
    return [];
  });
}

function checkGeneration(change: Change, timeline: Timeline): Violation[] {
  const resource = resources.find(({ prefix }) => change.key.startsWith(prefix));
  const { object } = change;
  if (!resource?.hasGeneration || !object) return [];
  const before = timeline.before(change);
  const isMarked = !before?.metadata.deletionTimestamp && object.metadata.deletionTimestamp !== undefined;
  const isChanged = !Bun.deepEquals(specOf(before), specOf(object));
  const grows = before && (isChanged || isMarked) ? 1 : 0;
  const wanted = (before?.metadata.generation ?? 1) + grows;
  if (object.metadata.generation === wanted) return [];
  return [at("generation counts changes of the spec", change, `${object.metadata.generation} instead of ${wanted}`)];
}

const specOf = (object: KubeObject | undefined): unknown => (object as { spec?: unknown } | undefined)?.spec;

/** Each set of fields can be read, and no manager stands twice for one operation at one subresource. */
function checkOwners(change: Change): Violation[] {
  const entries = change.object?.metadata.managedFields ?? [];
  const seen = new Set<string>();
  return entries.flatMap(({ manager, operation, subresource, apiVersion, fieldsType, fieldsV1 }) => {
    const owner = [manager, operation, subresource ?? "", apiVersion].join(" ");
    const found: Violation[] = [];
    if (seen.has(owner)) found.push(at("an owner stands once", change, owner));
    seen.add(owner);
    if (fieldsType !== "FieldsV1" || !isFieldSet(fieldsV1))
      found.push(at("owners' fields can be read", change, JSON.stringify(fieldsV1)));
    return found;
  });
}

/** FieldsV1: objects whose keys are `.` or begin with f:, k:, v: or i:. */
function isFieldSet(fields: unknown): boolean {
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return false;
  return Object.entries(fields).every(([name, inner]) => /^(\.$|[fkvi]:)/.test(name) && isFieldSet(inner));
}

/** Who applied owns what it applied, in the very change that it made. */
function checkApplied(calls: History["calls"], timeline: Timeline): Violation[] {
  return calls.flatMap(({ tag, operation }) => {
    if (operation.verb !== "patch" || operation.type !== "apply") return [];
    return timeline.changesOf(tag).flatMap((change) => {
      if (!tagsOf(change.object).includes(tag)) return [];
      const manager = `m${/^c(\d+)-/.exec(tag)?.[1]}`;
      const entry = change.object?.metadata.managedFields?.find(
        (each) => each.manager === manager && each.operation === "Apply",
      );
      const owned = entry?.fieldsV1 as { "f:metadata"?: { "f:annotations"?: Record<string, object> } } | undefined;
      const annotations = owned?.["f:metadata"]?.["f:annotations"] ?? {};
      const lacks = ["tag", `applied-${manager}`].filter((name) => !annotations[`f:${name}`]);
      return lacks.length === 0 ? [] : [at("who applied owns what it applied", change, `${manager} lacks ${lacks}`)];
    });
  });
}

/** No two Services at once have an address or a node port. */
function checkAllocations(changes: readonly Change[]): Violation[] {
  const owners = new Map<string, string>();
  const held = new Map<string, readonly string[]>();
  const prefix = prefixOf("services", undefined);
  return changes
    .filter(({ key }) => key.startsWith(prefix))
    .flatMap((change) => {
      for (const item of held.get(change.key) ?? []) owners.delete(item);
      const items = change.object
        ? [...clusterIpsOf(change.object), ...nodePortsOf(change.object).map((port) => `port ${port}`)]
        : [];
      held.set(change.key, items);
      return items.flatMap((item) => {
        const owner = owners.get(item);
        owners.set(item, change.key);
        return owner ? [at("no two Services share an address or a node port", change, `${item} is of ${owner}`)] : [];
      });
    });
}

/**
 * A recount may miss what was charged and is not there yet, or not seen yet, as upstream's may: so much more fits from then on,
 * until the usage holds all again.
 */
function checkQuota(changes: readonly Change[], calls: readonly Call[], timeline: Timeline): Violation[] {
  return quotaCounts.flatMap(({ name, plural, counts }) => {
    const prefix = prefixOf(plural, quotaNamespace);
    const present = new Set<string>();
    let missed = 0;
    return changes.flatMap((change) => {
      if (change.key === quotaKey) {
        const wanted = present.size + underWay(change.revision, prefix, calls, timeline);
        missed = Math.max(0, wanted - usedOf(change, name));
        return [];
      }
      if (!change.key.startsWith(prefix)) return [];
      if (change.object && counts(change.object)) present.add(change.key);
      else present.delete(change.key);
      const hard = quotaHard[name] ?? Number.POSITIVE_INFINITY;
      if (present.size <= hard + missed || !change.object) return [];
      return [at("a quota is not exceeded", change, `${present.size} of ${name}, of ${hard}`)];
    });
  });
}

function usedOf({ object }: Change, name: string): number {
  const { status } = (object ?? {}) as { status?: { used?: Record<string, string> } };
  return Number(status?.used?.[name] ?? 0);
}

/** Objects that were made after the revision by calls that may have begun before it. */
function underWay(revision: number, prefix: string, calls: readonly Call[], timeline: Timeline): number {
  return calls.filter(({ tag, invoked }) =>
    timeline
      .changesOf(tag)
      .some(
        (change) =>
          change.key.startsWith(prefix) &&
          change.revision > revision &&
          !timeline.before(change) &&
          timeline.shownBefore(invoked) < revision,
      ),
  ).length;
}
