/** What pods are told of that is wrong with their board. */
import { expect, test } from "bun:test";
import { RuntimeError, type RuntimeErrorKind } from "#agent/runtime/runtime.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import { silentLog } from "#shared/client/log.ts";
import { defaultTuning } from "./kubelet-tuning.ts";
import type { PlanRun } from "./plan-run.ts";
import type { KubeletParts } from "./pod-context.ts";
import { PodCounts } from "./pod-counts.ts";
import { PodEvents } from "./pod-events.ts";
import { executeStep } from "./pod-executors.ts";
import { ResizeError } from "./pod-resizer.ts";
import { PodWorkTimes } from "./pod-work-times.ts";
import { PodWorker } from "./pod-worker.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default", uid: "u" },
  spec: { containers: [{ name: "main", image: "web:1" }] },
};

function recording(): { recorder: EventRecorder; told: string[] } {
  const told: string[] = [];
  const record: EventRecorder["record"] = ({ kind }, { reason, message }) =>
    void told.push(`${kind} ${reason}: ${message}`);
  return { recorder: { record }, told };
}

test("a sandbox that cannot be had without a network is told as that, and by its own error otherwise", async () => {
  const tried = async (hostNetwork: boolean, trouble?: string): Promise<string[]> => {
    const { recorder, told } = recording();
    const mine = { ...pod, spec: { ...pod.spec, hostNetwork } };
    const parts = {
      counts: new PodCounts(),
      hostDns: async () => ({ servers: [], searches: [], options: [] }),
      clusterDns: { servers: ["10.43.0.10"], domain: "cluster.local" },
      runtimeHandler: async () => ({ name: "" }),
      creations: { run: (create: () => unknown) => create() },
      runtime: { createSandbox: () => Promise.reject(new Error("no bridge")) },
      networkTrouble: () => trouble,
    };
    const run = { parts, pod: mine, events: new PodEvents(recorder, mine) } as unknown as PlanRun;
    await expect(executeStep({ kind: "createSandbox", attempt: 0 }, run)).rejects.toThrow("no bridge");
    return told;
  };
  expect(await tried(false, "cni config uninitialized")).toEqual([
    "Pod NetworkNotReady: network is not ready: cni config uninitialized",
  ]);
  const own = ["Pod FailedCreatePodSandBox: Failed to create pod sandbox: no bridge"];
  expect(await tried(true, "cni config uninitialized")).toEqual(own);
  expect(await tried(false)).toEqual(own);
});

test("a runtime that does not give a container its resources is told as what keeps the resize", async () => {
  const refuses = async (): Promise<never> =>
    Promise.reject(new RuntimeError("other", "minimum memory limit allowed is 6MB"));
  const { cpuQuota, memoryEnd } = defaultTuning;
  const resourceRules = { memoryCapacity_bytes: 2 ** 30, swapCapacity_bytes: 0, cpuQuota, memoryEnd };
  const parts = { resourceRules, runtime: { updateResources: refuses } };
  const run = { parts, pod, resized: new Map() } as unknown as PlanRun;
  const resize = executeStep({ kind: "resizeContainer", container: "main", containerId: "c" }, { ...run });
  expect(await resize.catch((error: unknown) => error)).toBeInstanceOf(ResizeError);
});

test("a pod of which the runtime cannot tell is told, but not while the runtime tells of nothing", async () => {
  const looked = async (kind: RuntimeErrorKind): Promise<string[]> => {
    const { recorder, told } = recording();
    const asked = Promise.withResolvers<void>();
    const fails = async (): Promise<never> => {
      setTimeout(asked.resolve);
      throw new RuntimeError(kind, "no such task");
    };
    const parts = {
      recorder,
      log: silentLog,
      runtime: { listSandboxes: fails, listContainers: fails },
      volumes: { volatilePodFolder: () => "/nowhere" },
      probes: { results: () => new Map() },
      workTimes: new PodWorkTimes(),
      hostIPs: () => [],
      now_ms: () => 0,
    };
    const worker = new PodWorker(parts as unknown as KubeletParts, pod);
    worker.prompt();
    await asked.promise;
    await worker.stop();
    return told;
  };
  expect(await looked("other")).toEqual(["Pod FailedSync: error determining status: no such task"]);
  expect(await looked("unavailable")).toEqual([]);
});
