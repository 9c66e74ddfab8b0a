/** What a container needs of images beside its own: those that it mounts, and the Secrets to pull with. */
import type { Container, Secret } from "#shared/api/types/core-v1.generated.ts";
import { orAborted } from "#shared/client/or-aborted.ts";
import { ContainerStartError } from "./container/container-error.ts";
import type { PlanRun } from "./plan-run.ts";
import { podUid } from "./pod-containers.ts";

/** The images whose files the container mounts (KEP-4639): pulled by their own policy, mounted once for the whole pod. */
export async function ensureImageVolumes(run: PlanRun, container: Container): Promise<void> {
  const { parts, pod, events } = run;
  const mounted = new Set((container.volumeMounts ?? []).map(({ name }) => name));
  for (const { name, image } of pod.spec.volumes ?? []) {
    const volume = run.volumes?.get(name);
    if (!image || !volume || !mounted.has(name)) continue;
    parts.counts.imageVolumeAsked();
    if (parts.host.isMountPoint(volume.path)) {
      parts.counts.imageVolumeMounted();
      continue;
    }
    const reference = image.reference ?? "";
    // Told at the pod: the volume is of no container alone.
    const wanted = { name: "", image: reference, imagePullPolicy: image.pullPolicy };
    await orAborted(
      run.signal,
      parts.images.ensure(pod, wanted, () => pullSecrets(run), events),
    );
    const identity = { uid: podUid(pod), namespace: pod.metadata.namespace ?? "", name: pod.metadata.name ?? "" };
    try {
      await parts.runtime.mountImage(reference, volume.path, identity);
      parts.counts.imageVolumeMounted();
    } catch (error) {
      parts.counts.imageVolumeFailed();
      const message = `ImageVolumeMountFailed: volume "${name}": ${(error as Error).message}`;
      throw new ContainerStartError("CreateContainerError", message, { cause: error });
    }
  }
}

/** Read once a run. */
export function pullSecrets(run: PlanRun): Promise<readonly Secret[]> {
  run.pullSecrets ??= readPullSecrets(run);
  return run.pullSecrets;
}

/** The pod's pull secrets that can be read; the pull may do without the others. Never rejects. */
async function readPullSecrets({ parts, pod, events }: PlanRun): Promise<readonly Secret[]> {
  const found: Secret[] = [];
  const failed: string[] = [];
  for (const { name } of pod.spec.imagePullSecrets ?? []) {
    if (!name) continue;
    try {
      found.push(await parts.objects.secret(pod.metadata.namespace ?? "", name));
    } catch {
      failed.push(name);
    }
  }
  if (failed.length > 0) {
    events.warning(
      "FailedToRetrieveImagePullSecret",
      `Unable to retrieve some image pull secrets (${failed.join(", ")}); attempting to pull the image may not succeed.`,
    );
  }
  return found;
}
