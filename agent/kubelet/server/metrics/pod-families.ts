/** How many pods there are on the board and what becomes of their resizes, under upstream's names. */
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { gaugeFamily as gauge } from "#shared/metrics/process-families.ts";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";
import { isStaticPod } from "../../pod-containers.ts";

/** @param holding those of them that hold resources of the board */
export function podFamilies(pods: readonly Pod[], holding: readonly Pod[]): Family[] {
  const withCondition = (type: string): Pod[] =>
    holding.filter(({ status }) => status?.conditions?.some((each) => each.type === type && each.status === "True"));
  const pendingFor = (reason: string): number =>
    withCondition("PodResizePending").filter(({ status }) =>
      status?.conditions?.some((each) => each.type === "PodResizePending" && each.reason === reason),
    ).length;
  return [
    gauge("kubelet_running_pods", "Pods with a running sandbox.", [
      { labels: {}, value: pods.filter((pod) => pod.status?.phase === "Running").length },
    ]),
    gauge("kubelet_desired_pods", "Pods that this board is to run.", byOrigin(pods)),
    gauge("kubelet_active_pods", "Pods that count when another is to be let in.", byOrigin(holding)),
    gauge("kubelet_mirror_pods", "Static pods that the API is to show.", [
      { labels: {}, value: pods.filter(isStaticPod).length },
    ]),
    gauge(
      "kubelet_pod_pending_resizes",
      "Pods whose resize waits, or cannot be had.",
      ["Deferred", "Infeasible"].map((reason) => ({
        labels: { reason: reason.toLowerCase() },
        value: pendingFor(reason),
      })),
    ),
    gauge("kubelet_pod_in_progress_resizes", "Pods that are on the way to what they were granted.", [
      { labels: {}, value: withCondition("PodResizeInProgress").length },
    ]),
  ];
}

function byOrigin(pods: readonly Pod[]): Sample[] {
  const ofFiles = pods.filter(isStaticPod).length;
  return [
    { labels: { static: "" }, value: pods.length - ofFiles },
    { labels: { static: "true" }, value: ofFiles },
  ];
}
