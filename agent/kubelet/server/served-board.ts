import { badRequest, notFound, type StatusError } from "#shared/api/errors.ts";
import { pods } from "#shared/api/resources.ts";
import type { ContainerStatus, Pod } from "#shared/api/types/core-v1.generated.ts";
import { readUsage } from "../../telemetry/usage.ts";
import type { Kubelet } from "../kubelet.ts";
import { configurationOf } from "./configuration.ts";
import { CpuRates } from "./cpu-rates.ts";
import type { PodName, ServedBoard } from "./kubelet-server.ts";
import { renderMetrics } from "./metrics/metrics.ts";
import { statsSummary } from "./stats-summary.ts";

/** The kubelet as its server sees it, with errors worded as `kubectl logs` and `exec` show them. */
export function servedBoard(kubelet: Kubelet): ServedBoard {
  const rates = new CpuRates();
  return {
    runtime: kubelet.runtime,
    logFolder: kubelet.options.logFolder,
    pods: () => kubelet.pods(),
    containerId: (pod, container, options) => containerId(kubelet, pod, container, options?.previous ?? false),
    sandboxId: async ({ namespace, name }) => {
      const sandbox = await kubelet.findSandbox(namespace, name);
      if (!sandbox) throw notFound(pods, name);
      return sandbox.id;
    },
    configuration: () => configurationOf(kubelet),
    summary: async () => {
      const { nodeName, dataDir } = kubelet.options;
      const [usage, pods, volumes] = await Promise.all([readUsage(dataDir), kubelet.podStats(), kubelet.volumeStats()]);
      return statsSummary({ nodeName, usage, pods, volumes, rates });
    },
    history: () => kubelet.history.samples(performance.now(), Date.now()),
    metrics: (path) => renderMetrics(path, kubelet),
  };
}

async function containerId(
  kubelet: Kubelet,
  { namespace, name }: PodName,
  container: string,
  previous: boolean,
): Promise<string> {
  const pod = kubelet.findPod(namespace, name);
  if (!pod) throw notFound(pods, name);
  const found = await kubelet.findContainer(namespace, name, container, { previous });
  if (found && found.state !== "created") return found.id;
  if (previous) throw badRequest(`previous terminated container "${container}" in pod "${name}" not found`);
  throw notStarted(pod, container);
}

function notStarted(pod: Pod, container: string): StatusError {
  const name = pod.metadata.name ?? "";
  const waiting = statusOf(pod, container)?.state?.waiting;
  if (waiting) {
    const isImage = waiting.reason === "ErrImagePull" || waiting.reason === "ImagePullBackOff";
    const why = isImage
      ? `trying and failing to pull image`
      : `waiting to start: ${waiting.reason ?? "ContainerCreating"}`;
    return badRequest(`container "${container}" in pod "${name}" is ${why}`);
  }
  return badRequest(`container "${container}" in pod "${name}" is not available`);
}

function statusOf(pod: Pod, container: string): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(
    (each) => each.name === container,
  );
}
