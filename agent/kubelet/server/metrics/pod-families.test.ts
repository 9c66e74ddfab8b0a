import { expect, test } from "bun:test";
import type { Pod, PodCondition } from "#shared/api/types/core-v1.generated.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { podFamilies } from "./pod-families.ts";

function pod(phase: string, conditions: PodCondition[] = [], source = "api"): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { annotations: { "kubernetes.io/config.source": source } },
    spec: { containers: [] },
    status: { phase, conditions },
  };
}

test("pods are told by where they come from, and resizes by how far they are", () => {
  const pending = (reason: string): PodCondition => ({ type: "PodResizePending", status: "True", reason });
  const holding = [
    pod("Running", [], "file"),
    pod("Running", [pending("Deferred")]),
    pod("Running", [pending("Infeasible"), { type: "PodResizeInProgress", status: "True" }]),
  ];
  const lines = renderPrometheus(podFamilies([...holding, pod("Succeeded")], holding))
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines).toEqual([
    "kubelet_running_pods 3",
    'kubelet_desired_pods{static=""} 3',
    'kubelet_desired_pods{static="true"} 1',
    'kubelet_active_pods{static=""} 2',
    'kubelet_active_pods{static="true"} 1',
    "kubelet_mirror_pods 1",
    'kubelet_pod_pending_resizes{reason="deferred"} 1',
    'kubelet_pod_pending_resizes{reason="infeasible"} 1',
    "kubelet_pod_in_progress_resizes 1",
  ]);
});
