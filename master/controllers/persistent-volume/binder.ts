import { defaultStorageClassAnnotations, newestDefault } from "#shared/api/newest-default.ts";
import { keyOf, splitKey } from "#shared/api/object.ts";
import { isTerminal } from "#shared/api/pod-phase.ts";
import { persistentVolumeClaims, persistentVolumes, pods, storageClasses } from "#shared/api/resources.ts";
import {
  findVolume,
  isBound,
  isReservedFor,
  volumeAnnotations,
  whyUnsatisfying,
} from "#shared/api/scheduling/volume-match.ts";
import { namesStorageClass, storageClassNameOf } from "#shared/api/storage-class-name.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { StorageClass } from "#shared/api/types/storage-v1.generated.ts";
import { type ControllerContext, defineController, watching } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { migratedClaim, migratedVolume, provisionerFor } from "./migrated-plugins.ts";
import { claimKeysOf } from "./protection.ts";

/*
 * Claims and volumes find each other. Both are keys of one queue: `claim/namespace/name` and `volume/name`. A binding is
 * written in four steps, each of which can be the last before a crash, and each of which is found undone by the next
 * reconcile: claimRef in the volume, its phase, volumeName in the claim, its phase.
 */

const claimKey = (key: string): string => `claim/${key}`;
const byClaim = "claim";
const byVolume = "volume";
const volumeKey = (name: string): string => `volume/${name}`;

/** Binds claims to volumes and keeps the phases of both. */
export const volumeBinder = defineController({
  name: "persistentvolume-binder-controller",
  eventSource: "persistentvolume-controller",
  serviceAccount: "persistent-volume-binder",
  watches: [
    watching(persistentVolumeClaims, {
      enqueue: (claim) => [
        claimKey(keyOf(claim)),
        ...(claim.spec?.volumeName ? [volumeKey(claim.spec.volumeName)] : []),
      ],
      indexes: { [byVolume]: ({ spec }) => (spec?.volumeName ? [spec.volumeName] : []) },
    }),
    watching(persistentVolumes, {
      enqueue: (volume, { lister }) => {
        const { claimRef } = volume.spec ?? {};
        const name = volume.metadata.name ?? "";
        const claims = lister(persistentVolumeClaims);
        const waiting = claimRef
          ? [`${claimRef.namespace}/${claimRef.name}`]
          : // A free volume is news for every claim that waits.
            claims
              .list()
              .filter((claim) => !isBound(claim))
              .map(keyOf);
        // Also for those that had lost the volume of this name.
        return [volumeKey(name), ...[...waiting, ...claims.keysByIndex(byVolume, name)].map(claimKey)];
      },
    }),
    watching(pods, {
      indexes: { [byClaim]: claimKeysOf },
      // A claim that waits for its first consumer says which pod that is.
      when: ({ type }) => type === "add",
      enqueue: (pod) => (pod.spec?.nodeName ? [] : claimKeysOf(pod).map(claimKey)),
    }),
    watching(storageClasses, {
      enqueue: (_class, { lister }) =>
        lister(persistentVolumeClaims)
          .list()
          .filter((claim) => !isBound(claim))
          .map((claim) => claimKey(keyOf(claim))),
    }),
  ],
  // One at a time: two claims must not take one volume.
  concurrency: 1,
  resync_s: 600,
  async reconcile(key, context) {
    if (key.startsWith("claim/")) return reconcileClaim(key.slice("claim/".length), context);
    return reconcileVolume(key.slice("volume/".length), context);
  },
});

async function reconcileClaim(key: string, context: ControllerContext): Promise<void> {
  const found = context.lister(persistentVolumeClaims).get(key);
  if (!found) return;
  const annotations = migratedClaim(found.metadata.annotations);
  const claim = annotations
    ? await context.client.update(persistentVolumeClaims, { ...found, metadata: { ...found.metadata, annotations } })
    : found;
  // Also one that names no volume any more.
  if (claim.metadata.annotations?.[volumeAnnotations.bindCompleted] !== undefined)
    return reconcileBoundClaim(claim, context);
  if (claim.spec?.volumeName) return reconcileChosenClaim(claim, claim.spec.volumeName, context);
  const storageClass = context.lister(storageClasses).get(storageClassNameOf(claim));
  const volumes = context.lister(persistentVolumes).list();
  const isLate = storageClass?.volumeBindingMode === "WaitForFirstConsumer";
  const waits = isLate && claim.metadata.annotations?.[volumeAnnotations.selectedNode] === undefined;
  const volume = findVolume(claim, volumes, isLate ? "left" : "taken");
  if (volume) return bind(claim, volume, context);
  if (await takesDefaultClass(claim, context)) return;
  await setClaimPhase(claim, "Pending", context);
  await explainWaiting(claim, storageClass, waits, context);
}

/** A claim that names no class gets the default one also when that comes later (KEP-3333). */
async function takesDefaultClass(
  claim: PersistentVolumeClaim,
  { client, lister }: ControllerContext,
): Promise<boolean> {
  const name = namesStorageClass(claim)
    ? undefined
    : newestDefault(lister(storageClasses).list(), defaultStorageClassAnnotations);
  if (name === undefined) return false;
  await client.update(persistentVolumeClaims, { ...claim, spec: { ...claim.spec, storageClassName: name } });
  return true;
}

async function explainWaiting(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass | undefined,
  waits: boolean,
  { client, events, lister }: ControllerContext,
): Promise<void> {
  if (waits) {
    const waiting = lister(pods)
      .byIndex(byClaim, keyOf(claim))
      .filter((pod) => !pod.spec?.nodeName && !isTerminal(pod))
      .map(({ metadata }) => metadata.name);
    const message =
      waiting.length === 0
        ? "waiting for first consumer to be created before binding"
        : `waiting for ${waiting.length === 1 ? "pod" : "pods"} ${waiting.join(",")} to be scheduled`;
    const reason = waiting.length === 0 ? "WaitForFirstConsumer" : "WaitForPodScheduled";
    events.record(claim, { type: "Normal", reason, message });
    return;
  }
  const className = storageClassNameOf(claim);
  if (className === "") {
    const message = "no persistent volumes available for this claim and no storage class is set";
    events.record(claim, { type: "Normal", reason: "FailedBinding", message });
    return;
  }
  const provisioner = storageClass && provisionerFor(storageClass.provisioner);
  if (provisioner === undefined || provisioner.startsWith("kubernetes.io/")) {
    const message = provisioner
      ? `no volume plugin matched name: ${provisioner}`
      : `storageclass.storage.k8s.io "${className}" not found`;
    events.record(claim, { type: "Warning", reason: "ProvisioningFailed", message });
    return;
  }
  if (claim.metadata.annotations?.[volumeAnnotations.storageProvisioner] !== provisioner) {
    const named = {
      ...claim.metadata.annotations,
      [volumeAnnotations.storageProvisioner]: provisioner,
      [volumeAnnotations.betaStorageProvisioner]: provisioner,
    };
    const annotations = migratedClaim(named) ?? named;
    await client.update(persistentVolumeClaims, { ...claim, metadata: { ...claim.metadata, annotations } });
  }
  const message =
    `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system ` +
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.";
  events.record(claim, { type: "Normal", reason: "ExternalProvisioning", message });
}

/** Somebody named the volume in the claim. */
async function reconcileChosenClaim(
  claim: PersistentVolumeClaim,
  volumeName: string,
  context: ControllerContext,
): Promise<void> {
  const volume = context.lister(persistentVolumes).get(volumeName);
  if (volume && (!volume.spec?.claimRef || isReservedFor(volume, claim))) {
    const why = volume.spec?.claimRef ? undefined : whyUnsatisfying(volume, claim);
    if (why === undefined) return bind(claim, volume, context);
    const message = `Cannot bind to requested volume "${volumeName}": ${why}`;
    context.events.record(claim, { type: "Warning", reason: "VolumeMismatch", message });
  } else if (volume) {
    const message = `volume "${volumeName}" already bound to a different claim.`;
    context.events.record(claim, { type: "Warning", reason: "FailedBinding", message });
  }
  await setClaimPhase(claim, "Pending", context);
}

async function reconcileBoundClaim(claim: PersistentVolumeClaim, context: ControllerContext): Promise<void> {
  if (!claim.spec?.volumeName) {
    const message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
    return lose(claim, "ClaimLost", message, context);
  }
  const volume = context.lister(persistentVolumes).get(claim.spec.volumeName);
  if (!volume) {
    const message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
    return lose(claim, "ClaimLost", message, context);
  }
  const { claimRef } = volume.spec ?? {};
  if (!claimRef || claimRef.uid === claim.metadata.uid) return bind(claim, volume, context);
  const message = "Two claims are bound to the same volume, this one is bound incorrectly";
  return lose(claim, "ClaimMisbound", message, context);
}

async function lose(
  claim: PersistentVolumeClaim,
  reason: string,
  message: string,
  context: ControllerContext,
): Promise<void> {
  if (claim.status?.phase === "Lost") return;
  await setClaimPhase(claim, "Lost", context);
  context.events.record(claim, { type: "Warning", reason, message });
}

/** The four steps; those that stand already are skipped. */
async function bind(claim: PersistentVolumeClaim, volume: PersistentVolume, context: ControllerContext): Promise<void> {
  const { client } = context;
  const { namespace, name = "", uid } = claim.metadata;
  let boundVolume = volume;
  if (volume.spec?.claimRef?.uid !== uid) {
    const annotations = volume.spec?.claimRef
      ? volume.metadata.annotations
      : { ...volume.metadata.annotations, [volumeAnnotations.boundByController]: "yes" };
    const claimRef = {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      namespace,
      name,
      uid,
      resourceVersion: claim.metadata.resourceVersion,
    };
    const metadata = { ...volume.metadata, annotations };
    boundVolume = await client.update(persistentVolumes, { ...volume, metadata, spec: { ...volume.spec, claimRef } });
  }
  await setVolumePhase(boundVolume, "Bound", context);

  let boundClaim = claim;
  const volumeName = volume.metadata.name ?? "";
  if (claim.spec?.volumeName !== volumeName || !isBound(claim)) {
    const annotations = {
      ...claim.metadata.annotations,
      [volumeAnnotations.bindCompleted]: "yes",
      ...(claim.spec?.volumeName === volumeName ? {} : { [volumeAnnotations.boundByController]: "yes" }),
    };
    const metadata = { ...claim.metadata, annotations };
    boundClaim = await client.update(persistentVolumeClaims, {
      ...claim,
      metadata,
      spec: { ...claim.spec, volumeName },
    });
  }
  await setClaimPhase(boundClaim, "Bound", context, boundVolume);
}

/** @param volume that the claim is bound to. */
async function setClaimPhase(
  claim: PersistentVolumeClaim,
  phase: "Pending" | "Bound" | "Lost",
  { client }: ControllerContext,
  volume?: PersistentVolume,
): Promise<void> {
  const present = claim.status;
  const wanted = { ...present, phase, ...(volume ? shownOf(volume, present) : nothingShown) };
  if (JSON.stringify(wanted) === JSON.stringify(present)) return;
  await client.update(persistentVolumeClaims, { ...claim, status: wanted }, { subresource: "status" });
}

const nothingShown = { accessModes: undefined, capacity: undefined, currentVolumeAttributesClassName: undefined };

/** What a bound claim shows of its volume. Its size and its attributes are taken over once: later they are what the
 *  kubelet and the driver's resizer say that has been done. */
function shownOf({ spec = {} }: PersistentVolume, present: PersistentVolumeClaim["status"]): object {
  const { accessModes = [], capacity = {}, volumeAttributesClassName } = spec;
  return {
    accessModes,
    ...(present?.phase === "Bound" && present.capacity ? {} : { capacity }),
    ...(present?.phase === "Pending" ? { currentVolumeAttributesClassName: volumeAttributesClassName } : {}),
  };
}

async function setVolumePhase(
  volume: PersistentVolume,
  phase: "Available" | "Bound" | "Released" | "Failed",
  { client }: ControllerContext,
  message?: string,
): Promise<void> {
  if (volume.status?.phase === phase && volume.status.message === message) return;
  const { message: _, ...rest } = volume.status ?? {};
  const status = { ...rest, phase, ...(message ? { message } : {}) };
  await client.update(persistentVolumes, { ...volume, status }, { subresource: "status" });
}

async function reconcileVolume(name: string, context: ControllerContext): Promise<void> {
  const found = context.lister(persistentVolumes).get(name);
  if (!found) return;
  const annotations = migratedVolume(found.metadata.annotations);
  const volume = annotations
    ? await context.client.update(persistentVolumes, { ...found, metadata: { ...found.metadata, annotations } })
    : found;
  const { claimRef } = volume.spec ?? {};
  // A reservation by hand waits for its claim.
  if (!claimRef?.uid) return setVolumePhase(volume, "Available", context);
  const claim = await liveClaim(`${claimRef.namespace}/${claimRef.name}`, claimRef.uid, context);
  if (!claim) return release(volume, context);
  if (claim.spec?.volumeName === name) return setVolumePhase(volume, "Bound", context);
  // Bound in the volume, not yet in the claim: the claim's own reconcile goes on.
  if (!claim.spec?.volumeName) {
    if ((volume.spec?.volumeMode ?? "Filesystem") === (claim.spec?.volumeMode ?? "Filesystem"))
      return context.queue.add(claimKey(keyOf(claim)));
    const told = (about: PersistentVolume | PersistentVolumeClaim, message: string): void =>
      context.events.record(about, { type: "Warning", reason: "VolumeMismatch", message });
    const requested = `requested PersistentVolumeClaim "${claim.metadata.name}" due to incompatible volumeMode.`;
    told(volume, `Cannot bind PersistentVolume to ${requested}`);
    told(
      claim,
      `Cannot bind PersistentVolume "${name}" to requested PersistentVolumeClaim due to incompatible volumeMode.`,
    );
    return;
  }
  // The claim has another volume: one that was made for it is not needed.
  const isMade = volume.metadata.annotations?.[volumeAnnotations.dynamicallyProvisioned] !== undefined;
  if (isMade && volume.spec?.persistentVolumeReclaimPolicy === "Delete") return release(volume, context);
  // Any other is free again, or stays reserved by hand.
  const { [volumeAnnotations.boundByController]: byController, ...others } = volume.metadata.annotations ?? {};
  const { uid: _, ...reservation } = claimRef;
  const freed = await context.client.update(persistentVolumes, {
    ...volume,
    metadata: { ...volume.metadata, annotations: others },
    spec: { ...volume.spec, claimRef: byController === undefined ? reservation : undefined },
  });
  await setVolumePhase(freed, "Available", context);
}

/** The claim that the volume names; asked of the API before it counts as gone. */
async function liveClaim(
  key: string,
  uid: string,
  { client, lister }: ControllerContext,
): Promise<PersistentVolumeClaim | undefined> {
  const known = lister(persistentVolumeClaims).get(key);
  if (known?.metadata.uid === uid) return known;
  const claim = await unlessGone(client.get(persistentVolumeClaims, splitKey(key)));
  return claim?.metadata.uid === uid ? claim : undefined;
}

/** The claim is gone. What becomes of the data is the volume's policy; deleting it is the provisioner's. */
async function release(volume: PersistentVolume, context: ControllerContext): Promise<void> {
  if (volume.status?.phase !== "Failed") await setVolumePhase(volume, "Released", context);
  const policy = volume.spec?.persistentVolumeReclaimPolicy ?? "Retain";
  if (policy === "Retain" || volume.metadata.deletionTimestamp) return;
  const external =
    volume.metadata.annotations?.[volumeAnnotations.dynamicallyProvisioned] !== undefined ||
    volume.spec?.csi !== undefined;
  if (policy === "Delete" && external) return;
  if (volume.status?.phase === "Failed") return;
  const message = policy === "Recycle" ? "No recycler plugin found for the volume!" : whyNotDeleted(volume);
  const current = await context.client.get(persistentVolumes, { name: volume.metadata.name ?? "" });
  await setVolumePhase(current, "Failed", context, message);
  const reason = policy === "Recycle" ? "VolumeFailedRecycle" : "VolumeFailedDelete";
  context.events.record(volume, { type: "Warning", reason, message });
}

/** Sources that upstream's controllers know, and can delete none of. */
const knownSources = ["hostPath", "nfs", "fc", "iscsi", "csi", "portworxVolume"] as const;

function whyNotDeleted({ metadata, spec = {} }: PersistentVolume): string {
  const path = spec.hostPath?.path;
  // Where it would delete, upstream does so on the machine of its controllers, which is no board of the volume's.
  if (path !== undefined && !/^\/tmp\/.+/.test(path))
    return `host_path deleter only supports /tmp/.+ but received provided ${path}`;
  const matched = knownSources.some((source) => spec[source] !== undefined) ? "no deletable volume" : "no volume";
  return `error getting deleter volume plugin for volume "${metadata.name}": ${matched} plugin matched`;
}
