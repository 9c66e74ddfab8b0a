import { expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import { killPod, withinGrace } from "./kill.ts";
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

test("a pod that the board ends takes its grace period and half of it, at least ten seconds, before it is told", async () => {
  const told = async (grace_s: number | undefined, took_ms: number, fails = false): Promise<string[]> => {
    const reasons: string[] = [];
    let now_ms = 5;
    const kill = async (): Promise<void> => {
      now_ms += took_ms;
      if (fails) throw new Error("the daemon hangs");
    };
    await withinGrace({ warning: (reason) => void reasons.push(reason) }, grace_s, kill, () => now_ms).catch(
      () => undefined,
    );
    return reasons;
  };
  expect(await told(0, 10_000)).toEqual([]);
  expect(await told(0, 10_001)).toEqual(["ExceededGracePeriod"]);
  expect(await told(60, 90_000)).toEqual([]);
  expect(await told(60, 90_001, true)).toEqual(["ExceededGracePeriod"]);
  // Deleted by somebody: however long that takes.
  expect(await told(undefined, 600_000)).toEqual([]);
});
