import type { NamespaceCondition } from "#shared/api/types/core-v1.generated.ts";

/** What one pass over a namespace's content found. */
export interface DeletionReport {
  /** Group versions that could not be asked what they serve. */
  readonly discoveryFailures: ReadonlyMap<string, Error>;
  readonly deletionErrors: readonly Error[];
  /** Instances left, by `pods.` or `deployments.apps`. */
  readonly remaining: ReadonlyMap<string, number>;
  /** Instances that wait for a finalizer, by finalizer. */
  readonly finalizers: ReadonlyMap<string, number>;
}

interface Statement {
  readonly type: string;
  readonly ok: { readonly reason: string; readonly message: string };
  problem(report: DeletionReport): { readonly reason: string; readonly message: string } | undefined;
}

const joined = (counts: ReadonlyMap<string, number>, say: (name: string, count: number) => string): string =>
  [...counts]
    .map(([name, count]) => say(name, count))
    .sort()
    .join(", ");

/** The five conditions of a namespace that is being deleted, with upstream's types, reasons and messages. */
const statements: readonly Statement[] = [
  {
    type: "NamespaceDeletionDiscoveryFailure",
    ok: { reason: "ResourcesDiscovered", message: "All resources successfully discovered" },
    problem({ discoveryFailures }) {
      if (discoveryFailures.size === 0) return undefined;
      const failures = [...discoveryFailures].map(([name, error]) => `${name}: ${error.message}`).sort();
      const list = `unable to retrieve the complete list of server APIs: ${failures.join(", ")}`;
      return {
        reason: "DiscoveryFailed",
        message: `Discovery failed for some groups, ${failures.length} failing: ${list}`,
      };
    },
  },
  {
    type: "NamespaceDeletionGroupVersionParsingFailure",
    ok: { reason: "ParsedGroupVersions", message: "All legacy kube types successfully parsed" },
    problem: () => undefined,
  },
  {
    type: "NamespaceDeletionContentFailure",
    ok: {
      reason: "ContentDeleted",
      message: "All content successfully deleted, may be waiting on finalization",
    },
    problem({ deletionErrors }) {
      if (deletionErrors.length === 0) return undefined;
      const messages = deletionErrors.map(({ message }) => message).sort();
      return {
        reason: "ContentDeletionFailed",
        message: `Failed to delete all resource types, ${messages.length} remaining: ${messages.join(", ")}`,
      };
    },
  },
  {
    type: "NamespaceContentRemaining",
    ok: { reason: "ContentRemoved", message: "All content successfully removed" },
    problem({ remaining }) {
      if (remaining.size === 0) return undefined;
      const list = joined(remaining, (name, count) => `${name} has ${count} resource instances`);
      return { reason: "SomeResourcesRemain", message: `Some resources are remaining: ${list}` };
    },
  },
  {
    type: "NamespaceFinalizersRemaining",
    ok: { reason: "ContentHasNoFinalizers", message: "All content-preserving finalizers finished" },
    problem({ finalizers }) {
      if (finalizers.size === 0) return undefined;
      const list = joined(finalizers, (name, count) => `${name} in ${count} resource instances`);
      return {
        reason: "SomeFinalizersRemain",
        message: `Some content in the namespace has finalizers remaining: ${list}`,
      };
    },
  },
];

/** The namespace's conditions after the report; undefined when nothing changes (pure). Others' conditions stay. */
export function conditionsAfter(
  present: readonly NamespaceCondition[],
  report: DeletionReport,
  now: string,
): NamespaceCondition[] | undefined {
  let changed = false;
  const own = statements.map(({ type, ok, problem }): NamespaceCondition => {
    const found = problem(report);
    const wanted = { type, status: found ? "True" : "False", ...(found ?? ok) };
    const old = present.find((condition) => condition.type === type);
    if (old?.status === wanted.status && old.reason === wanted.reason && old.message === wanted.message) return old;
    changed = true;
    const kept = old?.status === wanted.status ? old.lastTransitionTime : undefined;
    return { ...wanted, lastTransitionTime: kept ?? now };
  });
  if (!changed) return undefined;
  const types = new Set(statements.map(({ type }) => type));
  return [...present.filter(({ type }) => !types.has(type)), ...own];
}
