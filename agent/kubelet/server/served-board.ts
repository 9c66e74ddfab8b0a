import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { notFound, StatusError } from "#shared/api/errors.ts";
import { pods } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ContainerStatus } from "../../runtime/runtime.ts";
import type { Kubelet } from "../kubelet.ts";
import { defaultTuning } from "../kubelet-tuning.ts";
import { findContainer } from "../pod-containers.ts";
import { configurationOf } from "./configuration.ts";
import { loggedContainer, nothingToAttachTo, nothingToRunIn } from "./container-choice.ts";
import { CpuRates } from "./cpu-rates.ts";
import type { PodName, ServedBoard } from "./kubelet-server.ts";
import { renderMetrics } from "./metrics/metrics.ts";
import { statsSummary } from "./stats-summary.ts";
import { summaryInput } from "./summary-input.ts";

/** The kubelet as its server sees it, with errors worded as `kubectl logs` and `exec` show them. */
export function servedBoard(kubelet: Kubelet): ServedBoard {
  const rates = new CpuRates();
  return {
    runtime: kubelet.runtime,
    tuning: (kubelet.options.tuning ?? defaultTuning).server,
    logFolder: kubelet.options.logFolder,
    pods: () => kubelet.pods(),
    runningPods: async () => runningPods(await kubelet.runtime.listContainers()),
    run: async (name, container, command) => {
      const last = await lastContainer(kubelet, name, container);
      if (last?.state !== "running") throw failed(`container not found ("${container}")`);
      const { exitCode, stdout, stderr, timedOut } = await kubelet.runtime.execSync(
        last.id,
        command,
        longestRun_ms,
        mostOutput_bytes,
      );
      const output = stdout + stderr;
      if (timedOut) throw failed(`command '${command.join(" ")}' has not ended in time`);
      if (exitCode !== 0) throw failed(`command '${command.join(" ")}' exited with ${exitCode}: ${output}`);
      return Buffer.from(output);
    },
    checkpoint: (name, container, timeout_s) => checkpoint(kubelet, name, container, timeout_s),
    loggedContainer: (name, container, options) => {
      const { namespace, name: podName } = name;
      const pod = kubelet.findPod(namespace, podName);
      if (!pod) throw missing(`pod "${podName}" does not exist`);
      if (!findContainer(pod.spec, container)) throw missing(`container "${container}" not found in pod "${podName}"`);
      return loggedContainer(pod, container, options);
    },
    runningContainer: (name, container) => runningContainer(kubelet, name, container),
    attachableContainer: (name, container) => attachableContainer(kubelet, name, container),
    sandboxId: async (pod) => {
      podOf(kubelet, pod);
      const sandbox = await kubelet.findSandbox(pod.namespace, pod.name, pod.uid);
      if (!sandbox) throw notFound(pods, pod.name);
      return sandbox.id;
    },
    configuration: () => configurationOf(kubelet),
    summary: async (what) => statsSummary(await summaryInput(kubelet, what), rates),
    history: () => kubelet.history.samples(performance.now(), Date.now()),
    metrics: (path) => renderMetrics(path, kubelet),
  };
}

/** What `run` may take, and say. */
const longestRun_ms = 120_000;
const mostOutput_bytes = 16 * 1024 * 1024;

/** As it is said to who asked this server himself. */
const missing = (message: string): StatusError => new StatusError("NotFound", message);
const failed = (message: string): StatusError => new StatusError("InternalError", message);

function podOf(kubelet: Kubelet, { namespace, name, uid }: PodName): Pod {
  const pod = kubelet.findPod(namespace, name, uid);
  if (!pod) throw missing("pod does not exist");
  return pod;
}

/** Of pods that run something: no more than the runtime knows. */
function runningPods(containers: readonly ContainerStatus[]): Pod[] {
  const byPod = new Map<string, Pod>();
  for (const { pod, name, image, state } of containers) {
    if (state !== "running") continue;
    const { uid, namespace, name: podName } = pod;
    const known = byPod.get(uid) ?? {
      metadata: { name: podName, namespace, uid },
      spec: { containers: [] },
      status: {},
    };
    byPod.set(uid, {
      ...known,
      spec: { containers: [...known.spec.containers, { name, image, resources: {} }] },
    } as Pod);
  }
  return [...byPod.values()];
}

/** By the runtime's own means, into a folder of the kubelet's (KEP-2008). */
async function checkpoint(kubelet: Kubelet, name: PodName, container: string, timeout_s: number): Promise<string> {
  const pod = podOf(kubelet, name);
  if (!findContainer(pod.spec, container)) throw missing(`container ${container} does not exist`);
  const what = `${name.namespace}/${name.name}/${container}`;
  try {
    const last = await lastContainer(kubelet, name, container);
    if (!last) throw new Error(`container ${container} not found`);
    if (!kubelet.runtime.checkpointContainer) throw new Error("this container runtime makes no checkpoints");
    const folder = join(kubelet.options.dataDir, "checkpoints");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const moment = rfc3339(Date.now());
    const archive = join(folder, `checkpoint-${name.name}_${name.namespace}-${container}-${moment}.tar`);
    await kubelet.runtime.checkpointContainer(last.id, archive, timeout_s);
    return archive;
  } catch (error) {
    throw failed(`checkpointing of ${what} failed (${(error as Error).message})`);
  }
}

/** The last attempt of a container. */
async function lastContainer(kubelet: Kubelet, pod: PodName, container: string): Promise<ContainerStatus | undefined> {
  podOf(kubelet, pod);
  return await kubelet.findContainer(pod.namespace, pod.name, container);
}

async function runningContainer(kubelet: Kubelet, pod: PodName, container: string): Promise<string> {
  const last = await lastContainer(kubelet, pod, container);
  if (last?.state !== "running") throw nothingToRunIn(container);
  return last.id;
}

async function attachableContainer(kubelet: Kubelet, pod: PodName, container: string): Promise<string> {
  const last = await lastContainer(kubelet, pod, container);
  if (last?.state !== "running" && last?.state !== "exited") throw nothingToAttachTo(pod, container);
  return last.id;
}
