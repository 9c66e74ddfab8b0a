import { isAlreadyExists } from "#shared/api/errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { isTerminal } from "#shared/api/pod-phase.ts";
import {
  csiDrivers,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
} from "#shared/api/resources.ts";
import { isBound } from "#shared/api/scheduling/volume-match.ts";
import type { Node, PersistentVolume, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { VolumeAttachment } from "#shared/api/types/storage-v1.generated.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  type ControllerWatch,
  defineController,
  nothing,
  watching,
} from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { forcedDetaches } from "../controller-counts.ts";
import { podsByNode } from "../node/pods-by-node.ts";
import { attachmentFacts, attachmentIndexes, podIndexes, podsOfClaim, podsOfVolume } from "./attachment-facts.ts";
import { type AttachmentStep, planAttachments, reportedName, type WantedVolume } from "./attachment-plan.ts";
import { claimKeysOf } from "./protection.ts";
import { ToldRefusals } from "./told-refusals.ts";
import { UnneededAttachments } from "./unneeded-attachments.ts";

/** Set by a kubelet that leaves attaching to this controller. */
const managedAnnotation = "volumes.kubernetes.io/controller-managed-attach-detach";
/** For what no event tells: another node's detach, a node that is slow to unmount. */
const lookAgain_ms = 5_000;

/**
 * Asks by VolumeAttachments that CSI volumes be attached to the nodes whose pods use them, and be detached when no pod does
 * and the kubelet has unmounted them. The driver's attacher does it. Keys are names of nodes.
 */
export function attachDetachController(): ControllerDefinition {
  const unneeded = new UnneededAttachments();
  const refusals = new ToldRefusals();
  return defineController({
    name: "persistentvolume-attach-detach-controller",
    eventSource: "attachdetach-controller",
    serviceAccount: "attachdetach-controller",
    watches,
    resync_s: 300,
    async reconcile(nodeName, context) {
      const { lister, clock } = context;
      const node = lister(nodes).get(nodeName);
      if (node && node.metadata.annotations?.[managedAnnotation] === undefined) return undefined;
      const facts = attachmentFacts(nodeName, context, (name) => unneeded.for_ms(nodeName, name, clock.now_ms()));
      unneeded.note(facts, clock.now_ms());
      const { steps, reported } = planAttachments(facts);
      // What is about to be detached goes from the node's status first, so that its kubelet mounts it no more.
      const newlyAttached = await report(node, reported, context);
      const now_ms = clock.now_ms();
      for (const step of refusals.untold(nodeName, steps, now_ms)) {
        await execute(step, nodeName, newlyAttached, context);
      }
      refusals.note(nodeName, steps, now_ms);
      const waits = unneeded.isOn(nodeName) || steps.some((step) => step.kind === "refuse" && step.why === "conflict");
      const requeueAfter_ms = Math.min(
        waits ? lookAgain_ms : Number.POSITIVE_INFINITY,
        refusals.againIn_ms(nodeName, now_ms),
      );
      return requeueAfter_ms === Number.POSITIVE_INFINITY ? undefined : { requeueAfter_ms };
    },
  });
}

const nodesOf = (users: readonly Pod[]): string[] => users.flatMap(podsByNode.node);

const watches: readonly ControllerWatch[] = [
  watching(pods, {
    indexes: podIndexes,
    enqueue: (pod) => (claimKeysOf(pod).length > 0 ? nodesOf([pod]) : []),
    when: (event) =>
      event.type !== "update" ||
      event.old.spec?.nodeName !== event.object.spec?.nodeName ||
      isTerminal(event.old) !== isTerminal(event.object),
  }),
  watching(volumeAttachments, { indexes: attachmentIndexes, enqueue: attachmentIndexes.node }),
  watching(persistentVolumeClaims, {
    enqueue: (claim, context) => nodesOf(podsOfClaim(keyOf(claim), context)),
    when: (event) => event.type === "update" && !isBound(event.old) && isBound(event.object),
  }),
  watching(nodes, {
    when: (event) => event.type !== "update" || attachmentFieldsDiffer(event.old, event.object),
  }),
  watching(persistentVolumes, {
    enqueue: (volume, context) => nodesOf(podsOfVolume(volume, context)),
    when: ({ type, object }) => type === "add" && object.spec?.csi !== undefined,
  }),
  watching(csiDrivers, { enqueue: nothing }),
];

function attachmentFieldsDiffer(old: Node, now: Node): boolean {
  const fields = ({ status, spec, metadata }: Node): string =>
    JSON.stringify([
      status?.volumesInUse,
      status?.volumesAttached,
      spec?.taints,
      metadata.annotations?.[managedAnnotation],
    ]);
  return fields(old) !== fields(now);
}

async function execute(
  step: AttachmentStep,
  nodeName: string,
  newlyAttached: ReadonlySet<string>,
  context: ControllerContext,
): Promise<void> {
  switch (step.kind) {
    case "attach":
      return attach(step.name, step.volume, nodeName, context);
    case "detach":
      await detach(step.attachment, context);
      if (step.forced) forcedDetaches.add([step.forced]);
      return;
    case "refuse":
      for (const pod of step.wanted.pods)
        context.events.record(pod, { type: "Warning", reason: "FailedAttachVolume", message: step.message });
      return;
    case "succeeded":
      return tellAttached(step.wanted, newlyAttached, context);
    default:
      step satisfies never;
  }
}

async function attach(
  name: string,
  { metadata, spec }: PersistentVolume,
  nodeName: string,
  { client }: ControllerContext,
): Promise<void> {
  try {
    await client.create(volumeAttachments, {
      apiVersion: "storage.k8s.io/v1",
      kind: "VolumeAttachment",
      metadata: { name },
      spec: { attacher: spec?.csi?.driver ?? "", nodeName, source: { persistentVolumeName: metadata.name ?? "" } },
    });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function detach({ metadata }: VolumeAttachment, { client }: ControllerContext): Promise<void> {
  const { name = "", uid } = metadata;
  await unlessGone(client.delete(volumeAttachments, { name }, { preconditions: { uid } }));
}

/** Writes what is attached into the node's status, where its kubelet looks before it mounts. Gives the names that are new
 *  there. */
async function report(
  node: Node | undefined,
  names: readonly string[],
  { client }: ControllerContext,
): Promise<ReadonlySet<string>> {
  if (!node) return new Set();
  const present = (node.status?.volumesAttached ?? []).map(({ name }) => name);
  // Names of other plugins are not this controller's to take away.
  const others = present.filter((name) => !name.startsWith("kubernetes.io/csi/"));
  const wanted = [...others, ...names];
  if (wanted.toSorted().join() === present.toSorted().join()) return new Set();
  const body = { status: { volumesAttached: wanted.map((name) => ({ name, devicePath: "" })) } };
  const key = { name: node.metadata.name ?? "" };
  await client.patch(nodes, key, { type: "merge", body }, { subresource: "status" });
  return new Set(names.filter((name) => !present.includes(name)));
}

function tellAttached(
  { volume, pods: users }: WantedVolume,
  news: ReadonlySet<string>,
  context: ControllerContext,
): void {
  if (!news.has(reportedName(volume))) return;
  const message = `AttachVolume.Attach succeeded for volume "${volume.metadata.name}" `;
  for (const pod of users) context.events.record(pod, { type: "Normal", reason: "SuccessfulAttachVolume", message });
}
