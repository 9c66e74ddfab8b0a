import { expect, test } from "bun:test";
import type { Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { podResourceFamilies } from "./pod-resource-families.ts";

const pod = (name: string, spec: Partial<PodSpec>, phase = "Running"): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default" },
  spec: { schedulerName: "default-scheduler", nodeName: "board", containers: [], ...spec },
  status: { phase },
});

test("what pods ask for and are held to is told by resource, of those that have not ended", () => {
  const resources = {
    requests: { cpu: "250m", memory: "64Mi", "example.org/camera": "1", "hugepages-2Mi": "2Mi" },
    limits: { memory: "128Mi", "ephemeral-storage": "0" },
  };
  const container = { name: "main", image: "web:1", resources };
  const text = renderPrometheus(
    podResourceFamilies([
      pod("web", { containers: [container, { ...container, name: "other" }], priority: 7 }),
      pod("over", { containers: [container] }, "Succeeded"),
    ]),
  );
  const labels = 'namespace="default",pod="web",node="board",scheduler="default-scheduler",priority="7"';
  expect(text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([
    `kube_pod_resource_request{${labels},resource="cpu",unit="cores"} 0.5`,
    `kube_pod_resource_request{${labels},resource="memory",unit="bytes"} ${128 * 2 ** 20}`,
    `kube_pod_resource_request{${labels},resource="example.org/camera",unit=""} 2`,
    `kube_pod_resource_request{${labels},resource="hugepages-2Mi",unit="bytes"} ${4 * 2 ** 20}`,
    `kube_pod_resource_limit{${labels},resource="memory",unit="bytes"} ${256 * 2 ** 20}`,
  ]);
});
