import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import { orAborted } from "#shared/client/or-aborted.ts";
import { sandboxConfig } from "./container/container-config.ts";
import { ContainerStartError } from "./container/container-error.ts";
import { missingClusterDns, podDns } from "./container/pod-dns.ts";
import { createContainer, resourcesOf } from "./container-creation.ts";
import { backOffKey } from "./container-identity.ts";
import { ensureImageVolumes, pullSecrets } from "./container-images.ts";
import { ignoreMissing, type KillContext, killContainer, killPod } from "./kill.ts";
import { HookError, longestHook_ms, runHook } from "./lifecycle-hooks.ts";
import { containerOf, factsOf, type PlanRun } from "./plan-run.ts";
import { inOrderOfHost } from "./planner/observed-pod.ts";
import type { PodStep } from "./planner/pod-step.ts";
import { type ContainerType, findContainer, formatPod, podUid } from "./pod-containers.ts";
import { ResizeError } from "./pod-resizer.ts";
import { VolumesError } from "./volumes/volume-error.ts";

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

function killContext({ parts, pod, observed, events }: PlanRun): KillContext {
  return { runtime: parts.runtime, pod, observed, events };
}

async function podCgroup({ parts, pod, events }: PlanRun): Promise<string | undefined> {
  try {
    return await parts.cgroups?.ensure(pod);
  } catch (error) {
    events.warning("FailedCreatePodContainer", `unable to ensure pod container exists: ${(error as Error).message}`);
    throw error;
  }
}
