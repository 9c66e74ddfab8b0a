import type { KubeObject } from "#shared/api/object.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Store } from "../../store/store.ts";
import {
  type AdmissionAttributes,
  type AdmissionPlugin,
  type Operation,
  pluginsFor,
  type RequestLimits,
} from "../admission/admission.ts";
import { stepEnded } from "../admission/admission-steps.ts";
import type { User } from "../request.ts";
import type { CacheHub } from "../watch-cache/cache-hub.ts";
import { Entry } from "../watch-cache/entry.ts";
import { toUnstoredText } from "../watch-cache/stored-text.ts";
import { checkNamespace, checkPathSegment } from "./request-target.ts";
import { indexerOf, type ServedResource, type StoredResource } from "./served-resource.ts";

/** The parts of the server that a write goes through. */
export interface WriteParts {
  readonly store: Store;
  readonly hub: CacheHub;
  readonly admission: readonly AdmissionPlugin[];
  /** Wall clock in ms since the epoch. */
  now_ms(): number;
}

export interface WriteScope {
  readonly resource: ServedResource;
  readonly stored: StoredResource;
  readonly namespace: string | undefined;
  readonly subresource?: string | undefined;
  readonly user: User;
  /** Field manager, never empty on a write that tracks fields. */
  readonly manager: string;
  readonly dryRun: boolean;
  /** What a client gave of the options, for admission: without kind and dry run. */
  readonly options: object;
  readonly warnings: string[];
  readonly auditAnnotations: Record<string, string>;
  readonly limits?: RequestLimits | undefined;
}

/** As much of it as admission looks at: there may be nothing to write. */
export type AdmissionScope = Omit<WriteScope, "stored" | "manager">;

export const timestamp = (parts: WriteParts): string => rfc3339(parts.now_ms());

/** `namespace/name`, or `name` for a cluster-scoped resource. */
export function cacheKey(scope: Pick<WriteScope, "namespace" | "resource">, name: string): string {
  return scope.resource.declaration.ref.namespaced ? `${scope.namespace ?? ""}/${name}` : name;
}

/** The key of the object that a request names. Throws 400 where no object can have such a name. */
export function addressedKey(scope: Pick<WriteScope, "namespace" | "resource">, name: string): string {
  checkPathSegment(name);
  return cacheKey(scope, name);
}

/** An entry for an answer where the cache holds none or a newer one: dry runs, overtaken writes. */
export function entryFor(scope: WriteScope, key: string, revision: number, stored: string, view: KubeObject): Entry {
  return new Entry(key, revision, stored, indexerOf(scope.stored.declaration)(view), undefined);
}

/** An entry of what would have been created. Its view is not frozen, which would make a long list in it many times as long: nobody but
 *  whoever answers has it. @param object given away. */
export function unstoredEntry(scope: WriteScope, key: string, object: KubeObject): Entry {
  const indexed = indexerOf(scope.stored.declaration)(object);
  return Entry.ofAnswer(key, 0, toUnstoredText(object), indexed, object);
}

export interface Admitted {
  readonly operation: Operation;
  readonly name: string;
  readonly object?: KubeObject | undefined;
  readonly oldObject?: KubeObject | undefined;
}

function attributesOf(scope: AdmissionScope, admitted: Admitted): AdmissionAttributes {
  return {
    ...admitted,
    declaration: scope.resource.workingDeclaration,
    resource: scope.resource,
    subresource: scope.subresource,
    namespace: scope.namespace,
    options: scope.options,
    user: scope.user,
    dryRun: scope.dryRun,
    warnings: scope.warnings,
    auditAnnotations: scope.auditAnnotations,
    limits: scope.limits,
  };
}

/** Has all mutating plugins look at the draft. */
export async function mutate(parts: WriteParts, scope: AdmissionScope, admitted: Admitted): Promise<void> {
  const began_ms = performance.now();
  let rejected = true;
  try {
    await runMutating(parts, scope, admitted);
    stayIn(scope, admitted);
    rejected = false;
  } finally {
    stepEnded("admit", admitted.operation, rejected, began_ms);
  }
}

/** Whoever changes an object on its way cannot take it to another namespace: it is kept where the request says. Throws
 *  BadRequest. */
function stayIn({ namespace }: AdmissionScope, { operation, object }: Admitted): void {
  if (!object || !namespace || operation === "CONNECT") return;
  checkNamespace(object, namespace);
  object.metadata.namespace = namespace;
}

async function runMutating(parts: WriteParts, scope: AdmissionScope, admitted: Admitted): Promise<void> {
  const reinvocation = { round: 0 as 0 | 1, isWanted: false, memory: new Map<string, unknown>() };
  const attributes = { ...attributesOf(scope, admitted), reinvocation };
  const { operation } = admitted;
  const isOrdinary = operation === "CREATE" || operation === "UPDATE";
  const plugins = pluginsFor(parts.admission, attributes.declaration).filter(
    ({ mutate, mutatesOn }) => mutate && (isOrdinary || mutatesOn?.includes(operation)),
  );
  for (const plugin of plugins) {
    const changing = plugin.mutate?.(attributes);
    if (changing) await changing;
  }
  if (!reinvocation.isWanted) return;
  reinvocation.round = 1;
  for (const plugin of plugins) await plugin.mutate?.(attributes);
}

/** Has all validating plugins look at what is to be written. */
export async function judge(parts: WriteParts, scope: AdmissionScope, admitted: Admitted): Promise<void> {
  const attributes = attributesOf(scope, admitted);
  const began_ms = performance.now();
  let rejected = true;
  try {
    for (const plugin of pluginsFor(parts.admission, attributes.declaration)) {
      if (admitted.operation === "CONNECT" && !plugin.seesConnections) continue;
      const judging = plugin.validate?.(attributes);
      if (judging) await judging;
    }
    rejected = false;
  } finally {
    stepEnded("validate", admitted.operation, rejected, began_ms);
  }
}
