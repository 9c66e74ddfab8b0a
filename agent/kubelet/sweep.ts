import type { SandboxStatus } from "#agent/runtime/runtime.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ContainerGarbage } from "./container-garbage.ts";
import { podFromContainers } from "./container-identity.ts";
import type { ImageGarbage } from "./images/image-gc.ts";
import { boardReference } from "./node/node-events.ts";
import type { KubeletParts } from "./pod-context.ts";
import type { PodWorkers } from "./pod-workers.ts";

export interface Swept {
  readonly parts: KubeletParts;
  readonly workers: PodWorkers;
  readonly containerGarbage: ContainerGarbage;
  readonly imageGarbage: ImageGarbage;
  /** The name of its Node. */
  readonly board: string;
}

/** Finds what no event told of: pods that nobody wants, what is left of such, workers whose pod looks different now. */
export async function sweep({ parts, workers, containerGarbage, imageGarbage, board }: Swept): Promise<void> {
  const { runtime, log } = parts;
  const [containers, sandboxes] = await Promise.all([runtime.listContainers(), runtime.listSandboxes()]);
  const uids = new Set([...containers, ...sandboxes].map(({ pod }) => pod.uid));
  for (const uid of uids) {
    if (workers.get(uid)) continue;
    const ofPod = containers.filter(({ pod }) => pod.uid === uid);
    const sandbox = sandboxes.find(({ pod }) => pod.uid === uid);
    const orphan = podFromContainers(ofPod) ?? (sandbox && bareOrphan(sandbox));
    if (!orphan) continue;
    log.info("a pod that the API does not have is ended", {
      pod: `${orphan.metadata.namespace}/${orphan.metadata.name}`,
    });
    workers.end(orphan);
  }
  const isKnown = (uid: string): boolean => workers.get(uid) !== undefined || uids.has(uid);
  // What is wrong with one of these keeps no other from being looked at, nor the pods.
  const stage = async (what: string, look: () => unknown): Promise<void> => {
    try {
      await look();
    } catch (error) {
      log.warn(`${what} could not be looked through`, { error });
    }
  };
  await stage("what pods have left", async () => {
    for (const uid of await parts.volumes.leftBehind()) {
      if (!isKnown(uid)) await stage(`what pod ${uid} has left`, () => parts.volumes.unmount(uid));
    }
  });
  await stage("volumes", () => parts.volumes.sweep());
  await stage("cgroups", () => parts.cgroups?.sweep(isKnown));
  await stage("devices", () => parts.devices?.retain(isKnown));
  await stage("CPUs", () => parts.cpus?.retain(isKnown));
  await stage("resource claims", () => parts.claims?.loadedClaims?.retain(isKnown));
  await stage("checkpoints", () => parts.objects.retainKept(() => workers.all().map(({ pod }) => pod)));
  await stage("logs", () => parts.logs.sweep(new Set([...uids, ...workers.all().map(({ uid }) => uid)])));
  try {
    await containerGarbage.collect(containers, sandboxes);
  } catch (error) {
    const message = messageOf(error);
    parts.recorder.record(boardReference(board), { type: "Warning", reason: "ContainerGCFailed", message });
    log.warn("dead containers could not be removed", { error });
  }
  await stage("images", async () => {
    const images = await runtime.listImages();
    imageGarbage.observe(images, containers);
    await imageGarbage.collectOld(images, containers);
    await parts.images.retain(images);
  });
  workers.promptAll();
}

function bareOrphan({ pod }: SandboxStatus): Pod {
  return { apiVersion: "v1", kind: "Pod", metadata: { ...pod }, spec: { containers: [] } };
}
