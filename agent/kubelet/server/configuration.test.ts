import { expect, test } from "bun:test";
import type { Kubelet } from "../kubelet.ts";
import { configurationOf } from "./configuration.ts";

test("configz says what it is, and by which thresholds the board is judged", () => {
  const options = { kubeletPort: 10250, clusterDomain: "cluster.local", clusterDns: [], maxPods: 110 };
  expect(configurationOf({ options } as unknown as Kubelet)).toMatchObject({
    kind: "KubeletConfiguration",
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    maxPods: 110,
    cgroupsPerQOS: false,
    imageGCHighThresholdPercent: 85,
    imageMinimumGCAge: "2m0s",
    nodeStatusReportFrequency: "30m0s",
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "10%", "imagefs.available": "15%" },
    evictionPressureTransitionPeriod: "5m0s",
  });
});
