import { expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import { killPod } from "./kill.ts";
import type { ObservedPod } from "./planner/observed-pod.ts";
import { PodEvents } from "./pod-events.ts";

test("a pod that cannot be ended is told", async () => {
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "default", uid: "u" },
    spec: { containers: [{ name: "main", image: "web:1" }] },
  };
  const told: string[] = [];
  const recorder = {
    record: (_: unknown, { type, reason, message }: { type: string; reason: string; message: string }) =>
      void told.push(`${type} ${reason}: ${message}`),
  };
  const runtime = { stopContainer: () => Promise.reject(new Error("the daemon hangs")) };
  const container = { id: "c", name: "main", state: "running" };
  const killing = killPod(
    {
      pod,
      runtime: runtime as unknown as ContainerRuntime,
      observed: { sandboxes: [], containers: [container] } as unknown as ObservedPod,
      events: new PodEvents(recorder, pod),
    },
    0,
  );
  expect(killing).rejects.toThrow("the daemon hangs");
  await killing.catch(() => undefined);
  expect(told).toEqual([
    "Normal Killing: Stopping container main",
    "Warning FailedKillPod: error killing pod: the daemon hangs",
  ]);
});
