import { isAlreadyExists, isNotFound } from "#shared/api/errors.ts";
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
  defineController,
  nothing,
  watching,
} from "#shared/client/controller.ts";
import { isTerminal } from "../../scheduler/pod-phase.ts";
import { forcedDetaches } from "../controller-counts.ts";
import { podsByNode } from "../node/pods-by-node.ts";
import {
  type AttachmentFacts,
  type AttachmentStep,
  attachmentOf,
  planAttachments,
  reportedName,
  type WantedVolume,
} from "./attachment-plan.ts";
import { claimKeysOf } from "./protection.ts";

/** Set by a kubelet that leaves attaching to this controller. */
const managedAnnotation = "volumes.kubernetes.io/controller-managed-attach-detach";
/** For what no event tells: another node's detach, a node that is slow to unmount. */
const lookAgain_ms = 5_000;

const nodeOf = ({ spec }: VolumeAttachment): readonly string[] => [spec.nodeName];
const volumeOf = ({ spec }: VolumeAttachment): readonly string[] =>
  spec.source.persistentVolumeName ? [spec.source.persistentVolumeName] : [];

/**
 * Asks by VolumeAttachments that CSI volumes be attached to the nodes whose pods use them, and be detached when no pod does
 * and the kubelet has unmounted them. The driver's attacher does it. Keys are names of nodes.
 */
export function attachDetachController(): ControllerDefinition {
  const unneededSince_ms = new Map<string, number>();
  return defineController({
    name: "persistentvolume-attach-detach-controller",
    eventSource: "attachdetach-controller",
    serviceAccount: "attachdetach-controller",
    watches: [
      watching(pods, {
        indexes: { ...podsByNode, claim: claimKeysOf },
        enqueue: (pod) => (pod.spec?.nodeName && claimKeysOf(pod).length > 0 ? [pod.spec.nodeName] : []),
        when: (event) =>
          event.type !== "update" ||
          event.old.spec?.nodeName !== event.object.spec?.nodeName ||
          isTerminal(event.old) !== isTerminal(event.object),
      }),
      watching(volumeAttachments, { indexes: { node: nodeOf, volume: volumeOf }, enqueue: nodeOf }),
      watching(persistentVolumeClaims, {
        enqueue: ({ metadata }, { lister }) =>
          lister(pods)
            .byIndex("claim", `${metadata.namespace}/${metadata.name}`)
            .flatMap(({ spec }) => spec?.nodeName ?? []),
        when: (event) => event.type === "update" && !isBound(event.old) && isBound(event.object),
      }),
      watching(nodes, {
        when: (event) => event.type !== "update" || attachmentFieldsDiffer(event.old, event.object),
      }),
      watching(persistentVolumes, {
        enqueue: ({ spec }, { lister }) =>
          lister(pods)
            .byIndex("claim", `${spec?.claimRef?.namespace}/${spec?.claimRef?.name}`)
            .flatMap((pod) => pod.spec?.nodeName ?? []),
        when: ({ type, object }) => type === "add" && object.spec?.csi !== undefined,
      }),
      watching(csiDrivers, { enqueue: nothing }),
    ],
    resync_s: 300,
    async reconcile(nodeName, context) {
      const { lister, clock } = context;
      const node = lister(nodes).get(nodeName);
      if (node && node.metadata.annotations?.[managedAnnotation] === undefined) return undefined;
      const present = presentAttachments(nodeName, context);
      const wanted = wantedVolumes(nodeName, context);
      const wantedNames = new Set(wanted.map(({ volume }) => attachmentOf(volume, nodeName)));
      for (const { attachment } of present) {
        const name = attachment.metadata.name ?? "";
        if (wantedNames.has(name)) unneededSince_ms.delete(name);
        else if (!unneededSince_ms.has(name)) unneededSince_ms.set(name, clock.now_ms());
      }
      const plan = planAttachments({
        node,
        nodeName,
        wanted,
        present,
        elsewhere: (volume) =>
          lister(volumeAttachments)
            .byIndex("volume", volume)
            .map(({ spec }) => spec.nodeName)
            .filter((name) => name !== nodeName),
        usersOn: ({ spec }, others) =>
          lister(pods)
            .byIndex("claim", `${spec?.claimRef?.namespace}/${spec?.claimRef?.name}`)
            .filter((pod) => !isTerminal(pod) && others.includes(pod.spec?.nodeName ?? "")),
        unneededFor_ms: (name) => clock.now_ms() - (unneededSince_ms.get(name) ?? clock.now_ms()),
      });
      const newlyAttached = await report(node, plan.reported, context);
      let waits = present.some(({ attachment }) => !wantedNames.has(attachment.metadata.name ?? ""));
      for (const step of plan.steps) {
        await execute(step, nodeName, newlyAttached, context);
        if (step.kind === "refuse") waits = true;
        if (step.kind === "detach") unneededSince_ms.delete(step.attachment.metadata.name ?? "");
      }
      return waits ? { requeueAfter_ms: lookAgain_ms } : undefined;
    },
  });
}

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

/** The node's attachments that this controller made or would have made. */
function presentAttachments(nodeName: string, { lister }: ControllerContext): AttachmentFacts["present"] {
  return lister(volumeAttachments)
    .byIndex("node", nodeName)
    .flatMap((attachment) => {
      const volume = lister(persistentVolumes).get(volumeOf(attachment)[0] ?? "");
      const ours = volume?.spec?.csi && attachment.metadata.name === attachmentOf(volume, nodeName);
      return volume && ours ? [{ attachment, volume }] : [];
    });
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

/** CSI volumes of the node's pods, as far as their driver has an attacher. */
function wantedVolumes(nodeName: string, { lister }: ControllerContext): WantedVolume[] {
  const found = new Map<string, { volume: PersistentVolume; pods: Pod[] }>();
  for (const pod of lister(pods).byIndex("node", nodeName)) {
    if (isTerminal(pod)) continue;
    for (const key of claimKeysOf(pod)) {
      const claim = lister(persistentVolumeClaims).get(key);
      const volume = claim && isBound(claim) ? lister(persistentVolumes).get(claim.spec?.volumeName ?? "") : undefined;
      const driver = volume?.spec?.csi?.driver;
      if (!volume || driver === undefined) continue;
      // A driver that says nothing of itself has an attacher.
      if (lister(csiDrivers).get(driver)?.spec.attachRequired === false) continue;
      const name = volume.metadata.name ?? "";
      const entry = found.get(name) ?? { volume, pods: [] };
      entry.pods.push(pod);
      found.set(name, entry);
    }
  }
  return [...found.values()];
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
  try {
    await client.delete(volumeAttachments, { name }, { preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Writes what is attached into the node's status, where its kubelet looks before it mounts. Gives what is new there. */
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
