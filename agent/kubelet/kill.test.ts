import { expect, test } from "bun:test";
import type { Container, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { ContainerRuntime, ContainerStatus } from "../runtime/runtime.ts";
import { type KillContext, killContainer, killPod, withinGrace } from "./kill.ts";
import type { ObservedPod } from "./planner/observed-pod.ts";
import { endGrace_s } from "./pod-end.ts";
import { PodEvents } from "./pod-events.ts";

/** A pod with one container that runs, and what is told of it. */
function runningPod(
  runtime: Partial<ContainerRuntime>,
  container: Partial<Container> = {},
  spec: Partial<PodSpec> = {},
) {
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "default", uid: "u" },
    spec: { containers: [{ name: "main", image: "web:1", ...container }], ...spec },
  };
  const told: string[] = [];
  const recorder = {
    record: (_: unknown, { type, reason, message }: { type: string; reason: string; message: string }) =>
      void told.push(`${type} ${reason}: ${message}`),
  };
  const status = { id: "c", name: "main", state: "running" } as ContainerStatus;
  const context: KillContext = {
    pod,
    runtime: runtime as ContainerRuntime,
    observed: {
      sandboxes: [{ id: "s", state: "ready", ips: ["127.0.0.1"] }],
      containers: [status],
    } as unknown as ObservedPod,
    events: new PodEvents(recorder, pod),
  };
  return { context, status, told };
}

test("a pod that cannot be ended is told", async () => {
  const { context, told } = runningPod({ stopContainer: () => Promise.reject(new Error("the daemon hangs")) });
  const killing = killPod(context, 0);
  expect(killing).rejects.toThrow("the daemon hangs");
  await killing.catch(() => undefined);
  expect(told).toEqual([
    "Normal Killing: Stopping container main",
    "Warning FailedKillPod: error killing pod: the daemon hangs",
  ]);
});

test("a container is asked to end before it is killed, also without a grace period", async () => {
  const given: number[] = [];
  const stopContainer = async (_: string, grace_s: number): Promise<void> => void given.push(grace_s);
  const { context, status } = runningPod({ stopContainer }, {}, { terminationGracePeriodSeconds: 0 });
  await killContainer(context, status, { reason: "liveness-probe" });
  expect(given).toEqual([2]);
  const pod = (deletionGracePeriodSeconds?: number): Pod => ({
    ...context.pod,
    metadata: { deletionGracePeriodSeconds },
    spec: { containers: [], terminationGracePeriodSeconds: 30 },
  });
  expect([endGrace_s(pod(), undefined), endGrace_s(pod(5), undefined), endGrace_s(pod(5), 3)]).toEqual([30, 5, 3]);
  expect([endGrace_s(pod(0), undefined), endGrace_s(pod(), 0), endGrace_s(context.pod, undefined)]).toEqual([1, 1, 1]);
});

test("a hook that goes on beyond the grace period ends with its container, and has failed", async () => {
  const ended = Promise.withResolvers<{ exitCode: number; stdout: string; stderr: string; timedOut: boolean }>();
  const stopContainer = async (): Promise<void> =>
    ended.resolve({ exitCode: 137, stdout: "", stderr: "", timedOut: false });
  const preStop = { exec: { command: ["sleep", "600"] } };
  const { context, status, told } = runningPod(
    { stopContainer, execSync: () => ended.promise },
    { lifecycle: { preStop } },
  );
  await killContainer(context, status, { reason: "unknown-state", grace_s: 1 });
  await Bun.sleep(0);
  expect(told).toEqual(["Normal Killing: Stopping container main", "Warning FailedPreStopHook: PreStopHook failed"]);
});

test("a hook by HTTPS that is answered in plain HTTP is asked that way", async () => {
  const seen: (string | null)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      seen.push(request.headers.get("authorization"));
      return new Response("", { status: 404 });
    },
  });
  const hook = (port: number | undefined): Partial<Container> => ({
    lifecycle: {
      preStop: {
        httpGet: { port: port ?? 0, scheme: "HTTPS", httpHeaders: [{ name: "authorization", value: "Bearer x" }] },
      },
    },
  });
  const stopContainer = async (): Promise<void> => undefined;
  try {
    const { context, status, told } = runningPod({ stopContainer }, hook(server.port));
    await killContainer(context, status, { reason: "liveness-probe", grace_s: 60 });
    expect(told).toEqual(["Normal Killing: Stopping container main"]);
    expect(seen).toEqual([null]);
  } finally {
    await server.stop(true);
  }
  const { context, status, told } = runningPod({ stopContainer }, hook(1));
  await killContainer(context, status, { reason: "liveness-probe", grace_s: 60 });
  expect(told.at(-1)).toBe("Warning FailedPreStopHook: PreStopHook failed");
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

test("a grace period longer than a timer can have is one all the same", async () => {
  const order: string[] = [];
  const { context, status } = runningPod(
    {
      async execSync() {
        await Bun.sleep(50);
        order.push("hook");
        return { exitCode: 0, stdout: "", stderr: "", timedOut: false };
      },
      async stopContainer(_, grace_s) {
        order.push(`stop within ${Math.round(grace_s / 100_000)}`);
      },
    },
    { lifecycle: { preStop: { exec: { command: ["true"] } } } },
    { terminationGracePeriodSeconds: 31_536_000 },
  );
  await killContainer(context, status, { reason: "unknown-state" });
  expect(order).toEqual(["hook", "stop within 20"]);
});
