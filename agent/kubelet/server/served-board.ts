import { notFound } from "#shared/api/errors.ts";
import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ContainerStatus } from "../../runtime/runtime.ts";
import type { Kubelet } from "../kubelet.ts";
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
    logFolder: kubelet.options.logFolder,
    pods: () => kubelet.pods(),
    loggedContainer: (name, container, options) => loggedContainer(podOf(kubelet, name), container, options),
    runningContainer: (name, container) => runningContainer(kubelet, name, container),
    attachableContainer: (name, container) => attachableContainer(kubelet, name, container),
    sandboxId: async ({ namespace, name }) => {
      const sandbox = await kubelet.findSandbox(namespace, name);
      if (!sandbox) throw notFound(pods, name);
      return sandbox.id;
    },
    configuration: () => configurationOf(kubelet),
    summary: async (what) => statsSummary(await summaryInput(kubelet, what), rates),
    history: () => kubelet.history.samples(performance.now(), Date.now()),
    metrics: (path) => renderMetrics(path, kubelet),
  };
}

function podOf(kubelet: Kubelet, { namespace, name }: PodName): Pod {
  const pod = kubelet.findPod(namespace, name);
  if (!pod) throw notFound(pods, name);
  return pod;
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
