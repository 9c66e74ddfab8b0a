import { messageOf } from "#shared/api/joined-errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { pods, resourceClaims, resourceClaimTemplates } from "#shared/api/resources.ts";
import {
  claimOfPod,
  isOwnedByPod,
  isReservedForPod,
  mostConsumers,
  podClaimAnnotation,
} from "#shared/api/scheduling/pod-resource-claims.ts";
import type { Pod, PodResourceClaim } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceClaim, ResourceClaimTemplate } from "#shared/api/types/resource-v1.generated.ts";
import type { ControllerContext, ReconcileResult } from "#shared/client/controller.ts";

/** With room for a hyphen and the five characters that the API server adds. */
const longestBase = 57;

/** Begin of a generated claim's name (pure); when it is too long, pod and entry give way in proportion. */
export function claimNameBase(podName: string, entryName: string): string {
  const whole = `${podName}-${entryName}-`;
  if (whole.length <= longestBase) return whole;
  const share = (text: string): string => text.slice(0, Math.floor((text.length * longestBase) / whole.length));
  return `${share(podName)}-${share(entryName)}`;
}

/** A claim as a template says, for one entry of a pod (pure). */
function claimFromTemplate({ spec }: ResourceClaimTemplate, pod: Pod, entryName: string): ResourceClaim {
  const { name: podName = "", namespace, uid = "" } = pod.metadata;
  const { labels, annotations } = spec.metadata ?? {};
  return {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaim",
    metadata: {
      generateName: claimNameBase(podName, entryName),
      namespace,
      ...(labels ? { labels } : {}),
      annotations: { ...annotations, [podClaimAnnotation]: entryName },
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: podName, uid, controller: true }],
    },
    spec: spec.spec,
  };
}

/** Makes the claims that a pod's templates ask for, tells the pod their names, and reserves allocated ones for a pod that came
 *  to its node without the scheduler. */
export async function furnishPod(key: string, context: ControllerContext): Promise<ReconcileResult> {
  const { lister, client, events, written } = context;
  const pod = lister(pods).get(key);
  if (!pod) written.forget(key);
  if (!pod || pod.metadata.deletionTimestamp) return undefined;
  const behind_ms = written.wait_ms(key);
  if (behind_ms !== undefined) return { behind_ms };
  const made: { name: string; resourceClaimName: string }[] = [];
  for (const entry of pod.spec?.resourceClaims ?? []) {
    try {
      const name = await ensureClaim(pod, entry, context);
      if (name !== undefined) made.push({ name: entry.name, resourceClaimName: name });
    } catch (error) {
      const message = `PodResourceClaim ${entry.name}: ${messageOf(error)}`;
      events.record(pod, { type: "Warning", reason: "FailedResourceClaimCreation", message });
      throw error;
    }
  }
  if (made.length > 0) {
    const { namespace = "", name = "", uid } = pod.metadata;
    const body = { metadata: { uid }, status: { resourceClaimStatuses: made } };
    await client.patch(pods, { namespace, name }, { type: "strategic", body }, { subresource: "status" });
  }
  if (pod.spec?.nodeName) await reserveFor(pod, context);
  return undefined;
}

/** The name of a claim that the pod's status does not tell yet; undefined when there is nothing to tell. */
async function ensureClaim(
  pod: Pod,
  entry: PodResourceClaim,
  { lister, client, written }: ControllerContext,
): Promise<string | undefined> {
  const { namespace = "", uid = "" } = pod.metadata;
  const known = claimOfPod(pod, entry);
  if (known.kind === "not needed") return undefined;
  if (known.kind === "named") {
    const present = lister(resourceClaims).get(`${namespace}/${known.name}`);
    if (!known.generated || (present && isOwnedByPod(present, pod))) return undefined;
  }
  if (entry.resourceClaimTemplateName === undefined) return undefined;
  // The one made before the pod's status could be written, if that went wrong.
  const orphan = lister(resourceClaims)
    .byIndex("controller", uid)
    .find(({ metadata }) => metadata.annotations?.[podClaimAnnotation] === entry.name);
  if (orphan) return orphan.metadata.name;
  const template = lister(resourceClaimTemplates).get(`${namespace}/${entry.resourceClaimTemplateName}`);
  if (!template) {
    const name = JSON.stringify(entry.resourceClaimTemplateName);
    throw new Error(`resource claim template ${name}: resourceclaimtemplate.resource.k8s.io ${name} not found`);
  }
  const created = await client.create(resourceClaims, claimFromTemplate(template, pod, entry.name));
  written.wrote(keyOf(pod), resourceClaims, created);
  return created.metadata.name;
}

async function reserveFor(pod: Pod, { lister, client }: ControllerContext): Promise<void> {
  for (const entry of pod.spec?.resourceClaims ?? []) {
    const known = claimOfPod(pod, entry);
    if (known.kind !== "named") continue;
    const claim = lister(resourceClaims).get(`${pod.metadata.namespace}/${known.name}`);
    if (!claim?.status?.allocation || isReservedForPod(claim, pod)) continue;
    if (known.generated && !isOwnedByPod(claim, pod))
      throw new Error(`ResourceClaim ${known.name} was not created for this pod`);
    const { reservedFor = [] } = claim.status;
    if (reservedFor.length >= mostConsumers) continue;
    const { name = "", uid = "" } = pod.metadata;
    const status = { ...claim.status, reservedFor: [...reservedFor, { resource: "pods", name, uid }] };
    await client.update(resourceClaims, { ...claim, status }, { subresource: "status" });
  }
}
