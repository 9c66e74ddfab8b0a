import { expect, test } from "bun:test";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { PodWorkTimes } from "./pod-work-times.ts";

test("work on pods is measured by what was done, and the start of those that were seen to start", async () => {
  const times = new PodWorkTimes();
  let now_ms = 0;
  const pod = times.ofPod(() => now_ms);
  const work = async (): Promise<string> => {
    now_ms += 2_000;
    return "done";
  };
  pod.noteChange();
  expect(await pod.measure("bring on", work)).toBe("done");
  pod.notePhase("Pending");
  await pod.measure("bring on", work);
  pod.notePhase("Running");
  pod.noteChange();
  await expect(pod.measure("bring on", () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  await pod.measure("bring on", work);
  await pod.measure("end", async () => {
    pod.noteChange();
    return work();
  });
  await pod.measure("bring on", work);
  // From before the kubelet began.
  times.ofPod(() => now_ms).notePhase("Running");
  const text = renderPrometheus(times.families());
  // The second update came while the pod was being worked on.
  for (const [type, count] of Object.entries({ create: 1, sync: 1, update: 2, kill: 1 })) {
    expect(text).toContain(`kubelet_pod_worker_duration_seconds_sum{operation_type="${type}"} ${count * 2}\n`);
    expect(text).toContain(`kubelet_pod_worker_duration_seconds_count{operation_type="${type}"} ${count}\n`);
  }
  expect(text).toContain("kubelet_pod_start_duration_seconds_sum 4\n");
  expect(text).toContain("kubelet_pod_start_duration_seconds_count 1\n");
});
