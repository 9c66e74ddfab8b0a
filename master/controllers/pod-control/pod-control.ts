import { isNotFound } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { pods as podResource } from "#shared/api/resources.ts";
import { type LabelSelector, selectorOrNone } from "#shared/api/selector/label-selector.ts";
import type { Pod, PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import {
  byControllerUid,
  type ControllerContext,
  type ControllerWatch,
  controllerOf,
  isNamespaceTerminating,
  observeChildren,
  watching,
} from "#shared/client/controller.ts";
import { claimChildren, controllerReference, controllerReferenceOf } from "#shared/client/controller-ref.ts";
import type { IndexFunction } from "#shared/client/informer.ts";
import { slowStart } from "./slow-start.ts";

/** Pods that nobody controls, by namespace: those that an owner may adopt. */
const orphansByNamespace: IndexFunction<KubeObject> = (object) =>
  controllerReferenceOf(object) ? [] : [object.metadata.namespace ?? ""];

export const childIndexes = { controllerUid: byControllerUid, orphans: orphansByNamespace } as const;

/** The children that the owner controls, and the orphans of its namespace that it selects. */
export function candidates<C extends KubeObject>(
  { lister }: ControllerContext,
  ref: ResourceRef<C>,
  owner: KubeObject,
  selector: LabelSelector,
): C[] {
  const { uid = "", namespace = "" } = owner.metadata;
  return [
    ...lister(ref).byIndex("controllerUid", uid),
    ...lister(ref).byIndex("orphans", namespace, (labels) => selector.matches(labels)),
  ];
}

/** A kind that owns pods, as far as finding its pods is concerned. */
export interface PodOwnerKind<O extends KubeObject> {
  readonly ref: ResourceRef<O>;
  selectorOf(owner: O): LabelSelector;
}

/** Pods bring their controller of the kind to attention; orphans every owner that could adopt them. */
export function watchingPods<O extends KubeObject>(kind: PodOwnerKind<O>): ControllerWatch {
  return watching(podResource, {
    enqueue: (pod, context) => keysOfOwners(kind, pod, context),
    observe: observeChildren<Pod>(kind.ref.kind),
    indexes: childIndexes,
  });
}

/** The key of the controller of the kind; for an orphan, of all owners that select it. */
export function keysOfOwners<O extends KubeObject>(
  kind: PodOwnerKind<O>,
  child: KubeObject,
  context: ControllerContext,
): string[] {
  const { metadata } = child;
  if (controllerReferenceOf(child)) return [...controllerOf(kind.ref.kind)(child, context)];
  return context
    .lister(kind.ref)
    .list(metadata.namespace)
    .filter((owner) => {
      const selector = selectorOrNone(() => kind.selectorOf(owner));
      return !selector.isEmpty && selector.matches(metadata.labels);
    })
    .map((owner) => `${metadata.namespace}/${owner.metadata.name}`);
}

/** Adopts and releases among these pods, and gives those that are the owner's. */
export async function claimPods<O extends KubeObject>(
  { client }: ControllerContext,
  { ref, selectorOf }: PodOwnerKind<O>,
  owner: O,
  pods: readonly Pod[],
): Promise<Pod[]> {
  const selector = selectorOf(owner);
  return claimChildren({
    client,
    ownerRef: ref,
    owner,
    childRef: podResource,
    children: pods,
    matches: ({ metadata }) => selector.matches(metadata.labels),
  });
}

/** A pod as the template describes it, owned by the controller. */
export function podFromTemplate<O extends KubeObject>(template: PodTemplateSpec, ref: ResourceRef<O>, owner: O): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace,
      labels: { ...labels },
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerReference(ref, owner)],
    },
    spec: cloneJson(template.spec ?? { containers: [] }),
  };
}

/** Creates one pod and says so in an event about the owner; a refusal is told too, unless the namespace is going. */
async function createPod({ client, events }: ControllerContext, owner: KubeObject, pod: Pod): Promise<Pod> {
  try {
    const created = await client.create(podResource, pod, { namespace: owner.metadata.namespace });
    const message = `Created pod: ${created.metadata.name}`;
    events.record(owner, { type: "Normal", reason: "SuccessfulCreate", message });
    return created;
  } catch (error) {
    if (!isNamespaceTerminating(error))
      events.record(owner, { type: "Warning", reason: "FailedCreate", message: `Error creating: ${messageOf(error)}` });
    throw error;
  }
}

/** Deletes this very pod and says so; one that has gone already rejects with NotFound. */
export async function deletePod({ client, events }: ControllerContext, owner: KubeObject, pod: Pod): Promise<void> {
  const { namespace, name = "", uid } = pod.metadata;
  try {
    await client.delete(podResource, { namespace, name }, uid ? { preconditions: { uid } } : {});
    events.record(owner, { type: "Normal", reason: "SuccessfulDelete", message: `Deleted pod: ${name}` });
  } catch (error) {
    if (!isNotFound(error))
      events.record(owner, { type: "Warning", reason: "FailedDelete", message: `Error deleting: ${messageOf(error)}` });
    throw error;
  }
}

/** Creates pods in slowly growing batches under the owner's expectations; gives the first error. */
export async function createPods(
  context: ControllerContext,
  key: string,
  owner: KubeObject,
  count: number,
  podAt: (index: number) => Pod,
): Promise<unknown> {
  const { expectations } = context;
  expectations.expectCreations(key, count);
  let refused = 0;
  const { succeeded, errors } = await slowStart(count, async (index) => {
    try {
      await createPod(context, owner, podAt(index));
    } catch (error) {
      // In a namespace that is going nothing can be made, and nothing needs to be tried again.
      if (!isNamespaceTerminating(error)) throw error;
      refused++;
    }
  });
  for (let missing = count - succeeded + refused; missing > 0; missing--) expectations.creationObserved(key);
  return errors[0];
}

/** Deletes pods at the same time under the owner's expectations; gives the first error. One already gone is no error. */
export async function deletePods(
  context: ControllerContext,
  key: string,
  owner: KubeObject,
  pods: readonly Pod[],
): Promise<unknown> {
  const { expectations } = context;
  expectations.expectDeletions(
    key,
    pods.map(({ metadata }) => metadata.uid ?? ""),
  );
  let failure: unknown;
  await Promise.all(
    pods.map(async (pod) => {
      try {
        await deletePod(context, owner, pod);
      } catch (error) {
        expectations.deletionObserved(key, pod.metadata.uid ?? "");
        if (!isNotFound(error)) failure ??= error;
      }
    }),
  );
  return failure;
}
