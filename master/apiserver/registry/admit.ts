/** The way of a write through the admission plugins: mutating ones change it, validating ones judge what has become of it. */
import { MalformedManagedFields, readEntries } from "#shared/api/managed-fields/index.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { type AdmissionAttributes, type Operation, pluginsFor } from "../admission/admission.ts";
import { stepEnded } from "../admission/admission-steps.ts";
import type { Prepared } from "./declaration.ts";
import { withoutRepeatedOwners } from "./owner-references.ts";
import { checkNamespace } from "./request-target.ts";
import type { AdmissionScope, WriteParts } from "./write-scope.ts";

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

/** Has all mutating plugins look at the draft, and then those that guard where it is to be kept. */
export async function mutate(parts: WriteParts, scope: AdmissionScope, admitted: Admitted): Promise<void> {
  const began_ms = performance.now();
  let rejected = true;
  const managers = admitted.object?.metadata.managedFields;
  try {
    await runMutating(parts, scope, admitted);
    stayIn(scope, admitted);
    if (admitted.object) keepManagers(scope, admitted.object, managers);
    rejected = false;
  } finally {
    stepEnded("admit", admitted.operation, rejected, began_ms);
  }
  const attributes = attributesOf(scope, admitted);
  for (const plugin of pluginsFor(parts.admission, attributes.declaration)) {
    const guarding = plugin.guard?.(attributes);
    if (guarding) await guarding;
  }
}

/** Whoever changes an object on its way cannot take it to another namespace: it is kept where the request says. Throws
 *  BadRequest. */
function stayIn({ namespace }: AdmissionScope, { operation, object }: Admitted): void {
  if (!object || !namespace || operation === "CONNECT") return;
  checkNamespace(object, namespace);
  object.metadata.namespace = namespace;
}

/** Managed fields that a plugin has spoilt are as they were before, and the client is told: a webhook that does not know of them
 *  must not lose them for everyone. */
function keepManagers({ warnings }: AdmissionScope, { metadata }: KubeObject, before: Managers): void {
  if (metadata.managedFields === undefined || metadata.managedFields === before) return;
  try {
    readEntries(metadata.managedFields);
  } catch (error) {
    if (!(error instanceof MalformedManagedFields)) throw error;
    warnings.push(
      ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating " +
        `admission controller; please fix your requests: ${error.message}`,
    );
    if (before) metadata.managedFields = before;
    else delete metadata.managedFields;
  }
}

type Managers = KubeObject["metadata"]["managedFields"];

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

/**
 * Does what a body asks for that is no object to be stored: a review, a binding, an eviction. Nothing is carried out that both kinds
 * of plugins have not seen. Throws StatusError where one refuses, or where the body is not in order.
 * @param body given away.
 */
export async function carriedOut<Answer>(
  parts: WriteParts,
  scope: AdmissionScope,
  { name, body }: { readonly name: string; readonly body: KubeObject },
  prepare: (body: KubeObject) => Prepared<Answer>,
): Promise<Answer> {
  withoutRepeatedOwners(body, scope.warnings, "sent");
  await mutate(parts, scope, { operation: "CREATE", name, object: body });
  withoutRepeatedOwners(body, scope.warnings, "admitted");
  const prepared = prepare(body);
  await judge(parts, scope, { operation: "CREATE", name, object: prepared.judged });
  return prepared.carryOut();
}
