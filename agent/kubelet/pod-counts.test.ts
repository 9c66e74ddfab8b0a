import { expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { ContainerStartError } from "./container/container-error.ts";
import type { PlanRun } from "./plan-run.ts";
import { PodCounts } from "./pod-counts.ts";
import { executeStep } from "./pod-executors.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default", uid: "u" },
  spec: { initContainers: [{ name: "first", image: "web:1" }], containers: [{ name: "main", image: "web:1" }] },
};

const linesOf = (counts: PodCounts): string[] =>
  renderPrometheus(counts.families())
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

test("starts of containers are counted with their images, and failures by what their status says", async () => {
  const counts = new PodCounts();
  const run = {
    pod,
    parts: { counts, images: { ensure: async () => ({}) }, log: { warn: () => undefined } },
    observed: { containers: [] },
    events: { normal: () => undefined, warning: () => undefined },
    signal: new AbortController().signal,
    sandboxId: undefined,
    images: new Map(),
  } as unknown as PlanRun;
  await executeStep({ kind: "pullImage", container: "first" }, run);
  await executeStep({ kind: "pullImage", container: "main" }, run);
  const wait = executeStep({ kind: "waitBackOff", container: "main", until_ms: 1, delay_ms: 1 }, run);
  await expect(wait).rejects.toThrow("back-off");
  expect(linesOf(counts)).toEqual([
    "kubelet_started_pods_total 0",
    "kubelet_started_pods_errors_total 0",
    'kubelet_started_containers_total{container_type="init_container"} 1',
    'kubelet_started_containers_total{container_type="container"} 1',
    "kubelet_image_volume_requested_total 0",
    "kubelet_image_volume_mounted_succeed_total 0",
    "kubelet_image_volume_mounted_errors_total 0",
  ]);
});

test("an image that is not there is a start that failed", async () => {
  const counts = new PodCounts();
  const ensure = (): Promise<never> => Promise.reject(new ContainerStartError("ErrImagePull", "no such image"));
  const run = {
    pod,
    parts: { counts, images: { ensure } },
    events: { warning: () => undefined },
    signal: new AbortController().signal,
    images: new Map(),
  } as unknown as PlanRun;
  await executeStep({ kind: "pullImage", container: "main" }, run).catch(() => undefined);
  const failed = 'kubelet_started_containers_errors_total{container_type="container",code="ErrImagePull"} 1';
  expect(linesOf(counts)).toContain(failed);
});
