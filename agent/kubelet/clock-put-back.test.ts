import { describe, expect, test } from "bun:test";
import type { ContainerRuntime, ContainerStatus, SandboxStatus } from "#agent/runtime/runtime.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { BackOff } from "./back-off.ts";
import { ContainerGarbage } from "./container-garbage.ts";
import { containerAnnotations } from "./container-identity.ts";
import { planPod } from "./planner/plan-pod.ts";
import { observePod } from "./pod-runtime-state.ts";

const identity = { uid: "u", namespace: "n", name: "p" };
const main = { name: "main", image: "image:1" };
const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: identity, spec: { containers: [main] } };
/** By the clock before the power went; what is made after the boot has times before it. */
const beforeCut_ms = 3_600_000;

const sandbox = (attempt: number, more: Partial<SandboxStatus>): SandboxStatus => ({
  id: `box-${attempt}`,
  pod: identity,
  attempt,
  state: "not-ready",
  createdAt_ms: beforeCut_ms - attempt * 60_000,
  ips: [],
  pid: 0,
  labels: {},
  annotations: {},
  ...more,
});

const container = (attempt: number, more: Partial<ContainerStatus>): ContainerStatus => ({
  id: `main-${attempt}`,
  sandboxId: `box-${attempt}`,
  pod: identity,
  name: "main",
  attempt,
  state: "exited",
  exitCode: 137,
  createdAt_ms: beforeCut_ms - attempt * 60_000,
  finishedAt_ms: beforeCut_ms - attempt * 60_000,
  oomKilled: false,
  image: main.image,
  imageId: "sha256:1",
  pid: 0,
  labels: {},
  annotations: containerAnnotations(pod, main, attempt),
  ...more,
});

describe("a board that booted with its clock put back", () => {
  test("takes the sandbox and the container that it made since for the newest, and leaves them alone", async () => {
    const sandboxes = [sandbox(0, {}), sandbox(1, { state: "ready", ips: ["10.42.0.5"], pid: 7 })];
    const containers = [container(0, {}), container(1, { state: "running" })];
    const runtime = {
      listSandboxes: async () => sandboxes,
      listContainers: async () => containers,
    } as unknown as ContainerRuntime;
    const observed = await observePod({
      runtime,
      podUid: "u",
      hostIPs: [],
      liveness: new Map(),
      startup: new Map(),
      backOff: new BackOff(),
      now_ms: beforeCut_ms - 60_000,
      resized: new Map(),
    });
    expect(planPod({ pod }, observed, beforeCut_ms - 60_000).steps).toEqual([]);
  });

  test("clears away the first attempts, not the last ones", async () => {
    const removed: string[] = [];
    const runtime = {
      removeContainer: async (id: string) => void removed.push(id),
      removeSandbox: async (id: string) => void removed.push(id),
    } as unknown as ContainerRuntime;
    const containers = [0, 1, 2].map((attempt) => container(attempt, { sandboxId: "box" }));
    await new ContainerGarbage(runtime, () => beforeCut_ms + 120_000).collect(containers, []);
    expect(removed).toEqual(["main-0"]);
  });
});
