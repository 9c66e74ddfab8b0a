import { join } from "node:path";
import { HostError } from "#agent/host/host.ts";
import type { ContainerResources, ImageStatus } from "#agent/runtime/runtime.ts";
import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import type { Container, Pod, ResourceRequirements, Secret } from "#shared/api/types/core-v1.generated.ts";
import { containerConfig, sandboxConfig, targetContainerId } from "./container/container-config.ts";
import { ContainerStartError, configError } from "./container/container-error.ts";
import { containerResources } from "./container/container-resources.ts";
import { EnvFileError, envFileValue } from "./container/env-file.ts";
import type { PodFacts } from "./container/field-ref.ts";
import { missingClusterDns, podDns } from "./container/pod-dns.ts";
import { backOffKey } from "./container-identity.ts";
import { withDevices } from "./devices/container-devices.ts";
import { ignoreMissing, type KillContext, killContainer, killPod } from "./kill.ts";
import { HookError, longestHook_ms, runHook } from "./lifecycle-hooks.ts";
import { orAborted } from "./limiter.ts";
import { inOrderOfHost, type ObservedPod, podIPs, readySandbox } from "./planner/observed-pod.ts";
import type { PodStep } from "./planner/pod-step.ts";
import { type ContainerType, findContainer, formatPod, isStaticPod, podUid } from "./pod-containers.ts";
import type { KubeletParts } from "./pod-context.ts";
import type { PodEvents } from "./pod-events.ts";
import { ResizeError } from "./pod-resizer.ts";
import type { MountedVolume } from "./volumes/mounted-volume.ts";
import { VolumesError } from "./volumes/volume-error.ts";

/** One run of a plan: what its steps learn from each other. */
export interface PlanRun {
  readonly parts: KubeletParts;
  readonly pod: Pod;
  readonly observed: ObservedPod;
  readonly events: PodEvents;
  /** Aborts when the pod is told to end. */
  readonly signal: AbortSignal;
  sandboxId: string | undefined;
  podIPs: readonly string[];
  volumes: ReadonlyMap<string, MountedVolume> | undefined;
  pullSecrets?: Promise<readonly Secret[]> | undefined;
  readonly images: Map<string, ImageStatus>;
  /** Containers started in this run, by name. */
  readonly started: Map<string, string>;
  /** Resources given to running containers, by container id. */
  readonly resized: Map<string, ResourceRequirements>;
}

/** A run that begins with what was observed; its steps add what they make. */
export function newPlanRun(
  given: Pick<PlanRun, "parts" | "pod" | "observed" | "events" | "signal" | "resized">,
): PlanRun {
  const sandbox = readySandbox(given.observed);
  const ips = given.pod.spec.hostNetwork ? given.parts.hostIPs() : podIPs(given.observed);
  return { ...given, sandboxId: sandbox?.id, podIPs: ips, volumes: undefined, images: new Map(), started: new Map() };
}

type Executors = { [K in PodStep["kind"]]: (step: Extract<PodStep, { kind: K }>, run: PlanRun) => Promise<void> };

/** What each step of a plan does. */
const executors: Executors = {
  async mountVolumes(_, run) {
    try {
      run.volumes = await run.parts.volumes.mount(factsOf(run));
    } catch (error) {
      if (error instanceof VolumesError)
        for (const { message } of error.failures) run.events.warning("FailedMount", message);
      throw error;
    }
  },

  async prepareClaims(_, { parts, pod, events }) {
    try {
      if (!parts.claims) throw new Error("dynamic resources are not supported by this node");
      await (await parts.claims.loadClaims()).prepare(pod);
    } catch (error) {
      const text = `Failed to prepare dynamic resources: ${(error as Error).message}`;
      events.warning("FailedPrepareDynamicResources", text);
      throw error;
    }
  },

  async killPod({ grace_s }, run) {
    await killPod(killContext(run), grace_s);
  },

  async createSandbox({ attempt }, run) {
    const { parts, pod, events } = run;
    if (attempt > 0) events.normal("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    const missing = missingClusterDns(pod, parts.clusterDns);
    if (missing) events.warning("MissingClusterDNS", `pod: "${formatPod(pod)}". ${missing}`);
    const cgroupParent = await podCgroup(run);
    parts.counts.podBegun();
    try {
      const { dns, omitted } = podDns(pod, await parts.hostDns(), parts.clusterDns);
      for (const message of omitted) events.warning("DNSConfigForming", message);
      const handler = await parts.runtimeHandler(pod);
      const config = {
        ...sandboxConfig(pod, attempt, dns, parts.clusterDns.domain, handler.name || undefined),
        cgroupParent,
      };
      run.sandboxId = await parts.creations.run(() => parts.runtime.createSandbox(config));
    } catch (error) {
      parts.counts.podFailed();
      const trouble = pod.spec.hostNetwork ? undefined : parts.networkTrouble();
      if (trouble !== undefined) events.warning("NetworkNotReady", `network is not ready: ${trouble}`);
      else events.warning("FailedCreatePodSandBox", `Failed to create pod sandbox: ${(error as Error).message}`);
      throw error;
    }
    const own = await parts.runtime.listSandboxes({ podUid: podUid(pod) });
    const created = own.find(({ id }) => id === run.sandboxId);
    run.podIPs = pod.spec.hostNetwork ? parts.hostIPs() : inOrderOfHost(created?.ips ?? [], parts.hostIPs());
  },

  async raisePodLimits(_, { parts, pod }) {
    await parts.cgroups?.raise(pod);
  },

  async settlePodLimits(_, { parts, pod }) {
    await parts.cgroups?.settle(pod);
  },

  async killContainer({ containerId, message, reason }, run) {
    const status = run.observed.containers.find(({ id }) => id === containerId);
    if (status) await killContainer(killContext(run), status, { message, reason });
  },

  async resizeContainer({ container: name, containerId }, run) {
    const { parts } = run;
    const container = containerOf(run, name);
    const wanted = resourcesOf(run, container);
    const { memoryLimit_bytes } = wanted;
    if (memoryLimit_bytes !== undefined) {
      const { memoryUsage_bytes } = await parts.runtime.stats(containerId);
      if (memoryLimit_bytes < memoryUsage_bytes) {
        throw new ResizeError(
          `attempting to set container "${name}" memory limit (${memoryLimit_bytes}) below current usage (${memoryUsage_bytes})`,
        );
      }
    }
    // The OOM score stays as it was when the process began.
    const { oomScoreAdj: _, hugepageLimits: __, ...changeable } = wanted;
    await parts.runtime.updateResources(containerId, changeable).catch((error: Error) => {
      throw new ResizeError(error.message, { cause: error });
    });
    run.resized.set(containerId, container.resources ?? {});
  },

  async removeContainer({ containerId }, run) {
    await ignoreMissing(run.parts.runtime.removeContainer(containerId));
  },

  async waitBackOff({ container, until_ms, delay_ms }, run) {
    const { pod, events } = run;
    events.warning(
      "BackOff",
      `Back-off restarting failed container ${container} in pod ${formatPod(pod)}`,
      containerOf(run, container),
    );
    const delay = formatGoDuration_ms(delay_ms);
    throw new ContainerStartError(
      "CrashLoopBackOff",
      `back-off ${delay} restarting failed container=${container} pod=${formatPod(pod)}`,
      { retryAt_ms: until_ms },
    );
  },

  async pullImage({ container: name }, run) {
    const { parts, pod, events } = run;
    const container = containerOf(run, name);
    // Begun whether or not they are needed, so that one that is missing is told before the image is; nobody waits for
    // it with the image there and the master away.
    const secrets = pullSecrets(run);
    try {
      await ensureImageVolumes(run, container);
      const image = await orAborted(
        run.signal,
        parts.images.ensure(pod, container, () => secrets, events),
      );
      run.images.set(name, image);
    } catch (error) {
      if (error instanceof ContainerStartError) events.warning("Failed", `Error: ${error.reason}`, container);
      throw error;
    }
  },

  async startContainer({ container: name, attempt, lastFinishedAt_ms }, run) {
    const { parts, pod, events } = run;
    const container = containerOf(run, name);
    if (lastFinishedAt_ms !== undefined) {
      parts.backOff.next(backOffKey(podUid(pod), container), lastFinishedAt_ms, parts.now_ms());
    }
    const id = await createContainer(run, container, attempt).catch((error: Error) => {
      events.warning("Failed", `Error: ${error.message}`, container);
      throw error;
    });
    events.normal("Created", "Container created", container);
    try {
      await parts.creations.run(() => parts.runtime.startContainer(id));
    } catch (error) {
      const { message } = error as Error;
      events.warning("Failed", `Error: ${message}`, container);
      throw new ContainerStartError("RunContainerError", message, { cause: error });
    }
    await parts.cpus?.started(id, podUid(pod), name);
    run.started.set(name, id);
    events.normal("Started", "Container started", container);
  },

  async runPostStart({ container: name }, run) {
    const { parts, pod, events } = run;
    const container = containerOf(run, name);
    const handler = container.lifecycle?.postStart;
    const containerId = run.started.get(name);
    if (!handler || !containerId) return;
    const { runtime } = parts;
    const hook = runHook({
      runtime,
      pod,
      container,
      containerId,
      handler,
      podIP: run.podIPs[0],
      timeout_ms: longestHook_ms,
    });
    try {
      await orAborted(run.signal, hook);
    } catch (error) {
      if (!(error instanceof HookError)) throw error;
      events.warning("FailedPostStartHook", "PostStartHook failed", container);
      const status = (await runtime.listContainers({ podUid: podUid(pod) })).find(({ id }) => id === containerId);
      if (status) {
        await killContainer(killContext(run), status, { message: "FailedPostStartHook", reason: "failed-post-start" });
      }
      throw new ContainerStartError("PostStartHookError", error.message, { cause: error });
    }
  },
};

const largestEnvFile_bytes = 1 << 20;

/** Rejects with what the step's executor rejects with; starts and failures of containers are counted. */
export async function executeStep(step: PodStep, run: PlanRun): Promise<void> {
  // The table's key is the step's kind, so the executor found is the step's.
  const execute = executors[step.kind] as (step: PodStep, run: PlanRun) => Promise<void>;
  const starting = startedBy(step, run);
  const { counts } = run.parts;
  if (starting && step.kind === "pullImage") counts.containerBegun(starting);
  try {
    await execute(step, run);
  } catch (error) {
    if (starting && error instanceof ContainerStartError) counts.containerFailed(starting, error.reason);
    throw error;
  }
}

/** What kind of container a step helps to start, if any; a start begins with the image, and waiting for one is none. */
function startedBy(step: PodStep, { pod }: PlanRun): ContainerType | undefined {
  const { kind } = step;
  if (kind !== "pullImage" && kind !== "startContainer" && kind !== "runPostStart") return undefined;
  return findContainer(pod.spec, step.container)?.type;
}

/** What volumes and environments may show of the pod and its board. */
export function factsOf({ pod, parts, podIPs }: Pick<PlanRun, "pod" | "parts" | "podIPs">): PodFacts {
  return { pod, podIPs, hostIPs: parts.hostIPs(), allocatable: parts.allocatable() };
}

function killContext({ parts, pod, observed, events }: PlanRun): KillContext {
  return { runtime: parts.runtime, pod, observed, events };
}

function containerOf({ pod }: PlanRun, name: string): Container {
  const found = findContainer(pod.spec, name);
  if (!found) throw new Error(`the plan names container ${name}, which the pod does not have`);
  return found.container;
}

async function podCgroup({ parts, pod, events }: PlanRun): Promise<string | undefined> {
  try {
    return await parts.cgroups?.ensure(pod);
  } catch (error) {
    events.warning("FailedCreatePodContainer", `unable to ensure pod container exists: ${(error as Error).message}`);
    throw error;
  }
}

async function createContainer(run: PlanRun, container: Container, attempt: number): Promise<string> {
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
function resourcesOf({ parts, pod }: PlanRun, container: Container): ContainerResources {
  const resources = containerResources(pod, container, parts.resourceRules);
  return parts.cpus?.held(resources, podUid(pod), container.name) ?? resources;
}

/** The images whose files the container mounts (KEP-4639): pulled by their own policy, mounted once for the whole pod. */
async function ensureImageVolumes(run: PlanRun, container: Container): Promise<void> {
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

/** Read once a run. */
function pullSecrets(run: PlanRun): Promise<readonly Secret[]> {
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
