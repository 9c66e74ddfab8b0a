import { join } from "node:path";
import { HostError } from "#agent/host/host.ts";
import type { ContainerResources } from "#agent/runtime/runtime.ts";
import type { Container } from "#shared/api/types/core-v1.generated.ts";
import { containerConfig, targetContainerId } from "./container/container-config.ts";
import { ContainerStartError, configError } from "./container/container-error.ts";
import { containerResources } from "./container/container-resources.ts";
import { EnvFileError, envFileValue } from "./container/env-file.ts";
import { withDevices } from "./devices/container-devices.ts";
import { factsOf, type PlanRun } from "./plan-run.ts";
import { formatPod, isStaticPod, podUid } from "./pod-containers.ts";

const largestEnvFile_bytes = 1 << 20;

/** Makes a container in the sandbox of the run. Gives its id; rejects with ContainerStartError where only this container is at fault. */
export async function createContainer(run: PlanRun, container: Container, attempt: number): Promise<string> {
  const { parts, pod, volumes = new Map(), sandboxId } = run;
  if (!sandboxId) throw new Error("there is no sandbox to start a container in");
  const config = await containerConfig({
    pod,
    container,
    attempt,
    volumes,
    podIPs: run.podIPs,
    clusterDomain: parts.clusterDns.domain,
    host: parts.host,
    podFolder: parts.volumes.volatilePodFolder(podUid(pod)),
    log: parts.log,
    sources: {
      facts: factsOf(run),
      objects: parts.objects,
      // Static pods do not wait for the API.
      services: parts.services() ?? (isStaticPod(pod) ? [] : undefined),
      envFile: (volume, path, key) => readEnvFile(run, volume, path, key),
    },
    image: run.images.get(container.name),
    seccompRoot: parts.seccompRoot,
    seccompDefault: parts.seccompDefault,
    resources: resourcesOf(run, container),
    recursiveReadOnly: await canBeRecursive(run, container),
    targetContainerId: targetContainerId(container, run.observed),
  });
  try {
    const own = (await parts.devices?.forStart(podUid(pod), container.name)) ?? [];
    const claims = container.resources?.claims?.length ? await parts.claims?.loadClaims() : undefined;
    const complete = withDevices(config, own, claims?.cdiDevices(pod, container));
    const id = await parts.creations.run(() => parts.runtime.createContainer(sandboxId, complete));
    parts.cpus?.created(id, complete.resources);
    return id;
  } catch (error) {
    throw new ContainerStartError("CreateContainerError", (error as Error).message, { cause: error });
  }
}

/** What the container is held to, and on which CPUs. */
export function resourcesOf({ parts, pod }: PlanRun, container: Container): ContainerResources {
  const resources = containerResources(pod, container, parts.resourceRules);
  return parts.cpus?.held(resources, podUid(pod), container.name) ?? resources;
}

/** Asked only where it matters: a class is looked up at the API. */
async function canBeRecursive({ parts, pod }: PlanRun, { volumeMounts = [] }: Container): Promise<boolean> {
  if (!volumeMounts.some(({ recursiveReadOnly }) => recursiveReadOnly)) return false;
  return (await parts.runtimeHandler(pod)).recursiveReadOnlyMounts;
}

/** The file is the pod's own, so nothing in it or about it is believed. */
async function readEnvFile(
  run: PlanRun,
  volumeName: string,
  path: string,
  key: string,
): Promise<{ value: string | undefined; file: string }> {
  const volume = run.volumes?.get(volumeName);
  if (!volume) throw configError(`cannot find the volume "${volumeName}" referenced by FileKeyRef`);
  try {
    const content = run.parts.host.readFileBeneath(volume.path, path, largestEnvFile_bytes);
    return { value: envFileValue(content.toString("utf8"), key), file: join(volume.path, path) };
  } catch (error) {
    if (!(error instanceof EnvFileError || error instanceof HostError)) throw error;
    run.parts.log.warn("an environment file cannot be read", { pod: formatPod(run.pod), volume: volumeName, error });
    throw configError("couldn't parse env file");
  }
}
