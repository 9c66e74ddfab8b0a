import { deployments } from "#shared/api/resources.ts";
import type { Deployment } from "#shared/api/types/apps-v1.generated.ts";
import {
  annotationsAfterRollback,
  lastRevision,
  parseRevision,
  revisionOf,
  rollbackToAnnotation,
} from "./annotations.ts";
import { hashLabel, type Rollout, sameTemplate } from "./rollout.ts";

/** The revision to go back to, as the old annotation asks for; 0 is the last one, undefined: nothing asked. */
export function rollbackRevision({ metadata }: Deployment): bigint | undefined {
  const text = metadata.annotations?.[rollbackToAnnotation];
  return text === undefined ? undefined : parseRevision(text);
}

/** Takes the template of an older revision and clears the request (extensions/v1beta1's rollback). */
export async function rollBack(rollout: Rollout, revision: bigint): Promise<void> {
  await rollout.syncRevision("create");
  const wanted = revision || lastRevision(rollout.all);
  if (wanted === 0n) return giveUp(rollout, "Unable to find last revision.");
  const target = rollout.all.find((one) => revisionOf(one) === wanted);
  if (!target?.spec.template) return giveUp(rollout, "Unable to find the revision to rollback to.");
  const { deployment } = rollout;
  if (sameTemplate(deployment.spec.template, target.spec.template)) {
    const message = `The rollback revision contains the same template as current deployment "${deployment.metadata.name}"`;
    rollout.event("Warning", "DeploymentRollbackTemplateUnchanged", message);
    return clearRequest(rollout, deployment);
  }
  const { [hashLabel]: _, ...labels } = target.spec.template.metadata?.labels ?? {};
  const template = { ...target.spec.template, metadata: { ...target.spec.template.metadata, labels } };
  await clearRequest(rollout, {
    ...deployment,
    metadata: { ...deployment.metadata, annotations: annotationsAfterRollback(deployment, target) },
    spec: { ...deployment.spec, template },
  });
  const message = `Rolled back deployment "${deployment.metadata.name}" to revision ${wanted}`;
  rollout.event("Normal", "DeploymentRollback", message);
}

async function giveUp(rollout: Rollout, message: string): Promise<void> {
  rollout.event("Warning", "DeploymentRollbackRevisionNotFound", message);
  await clearRequest(rollout, rollout.deployment);
}

async function clearRequest({ context }: Rollout, deployment: Deployment): Promise<void> {
  const { [rollbackToAnnotation]: _, ...annotations } = deployment.metadata.annotations ?? {};
  await context.client.update(deployments, { ...deployment, metadata: { ...deployment.metadata, annotations } });
}
