/** CPUs of containers' own, as Docker and the kernel have them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { inOrder, parseCpuSet } from "#agent/kubelet/cpus/cpu-set.ts";
import {
  AllocatableResourcesResponse,
  ListPodResourcesResponse,
  podResourcesPaths,
} from "#agent/kubelet/devices/pod-resources.ts";
import { nothingReserved } from "#agent/kubelet/node/node-status.ts";
import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { GrpcChannel } from "#shared/grpc/channel.ts";
import { until } from "#shared/testing/until.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { isReady, KubeletBoard, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

const hasCpusets = existsSync("/sys/fs/cgroup/cpuset") || existsSync("/sys/fs/cgroup/cpuset.cpus.effective");

describe.skipIf(!canRunDockerd() || !hasCpusets || cpus().length < 2)("a board that gives out CPUs", () => {
  let board: KubeletBoard;
  const all = inOrder(parseCpuSet(readFileSync("/sys/devices/system/cpu/online", "utf8")));
  const others = all.filter((cpu) => cpu !== 1);

  beforeAll(async () => {
    board = await KubeletBoard.start(async () => ({
      reserved: { ...nothingReserved, cpu_m: 200 },
      placement: {
        cpus: { wholeCores: false, keepsReserved: false, reserved: new Set([0]) },
        fixed: { cpu: true, memory: false },
        shown: {
          cpuManagerPolicy: "static",
          memoryManagerPolicy: "None",
          topologyManagerPolicy: "none",
          topologyManagerScope: "container",
          reservedCpus: "0",
        },
      },
    }));
  }, 300_000);
  afterAll(async () => {
    await board?.stop();
  }, 300_000);

  const start = async (name: string, resources: object): Promise<Pod> => {
    await board.api.create(
      pods,
      pod(name, { restartPolicy: "Always", containers: [shell("main", wait, { resources })] }),
    );
    return board.untilPod(name, isReady);
  };
  /** Where the kernel lets the container's process run. */
  const allowed = async (name: string): Promise<number[]> => {
    const found = await board.kubelet?.findContainer("default", name, "main");
    const [, list = ""] = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`/proc/${found?.pid}/status`, "utf8")) ?? [];
    return inOrder(parseCpuSet(list));
  };
  const untilAllowed = (name: string, wanted: readonly number[]): Promise<unknown> =>
    until(`${name} runs on ${wanted}`, async () => (await allowed(name)).join() === wanted.join());
  const ask = async (path: string): Promise<Buffer> => {
    const endpoint = new URL(`unix://${join(board.pluginDir, "pod-resources/kubelet.sock")}`);
    const channel = new GrpcChannel({ endpoint });
    try {
      return await channel.unary(path, Buffer.alloc(0), 60_000);
    } finally {
      channel.close();
    }
  };
  const whole = { requests: { cpu: "1", memory: "16Mi" }, limits: { cpu: "1", memory: "16Mi" } };

  test("has a guaranteed pod alone on its CPU, and the others beside it, also after the agent began anew", async () => {
    await start("many", { requests: { cpu: "100m" } });
    expect(await allowed("many")).toEqual(all);
    await start("sole", whole);
    expect(await allowed("sole")).toEqual([1]);
    await untilAllowed("many", others);

    const { podResources } = ListPodResourcesResponse.decode(await ask(podResourcesPaths.list));
    expect(podResources.map(({ name, containers }) => [name, containers[0]?.cpuIds])).toEqual(
      expect.arrayContaining([
        ["sole", [1]],
        ["many", []],
      ]),
    );
    const { cpuIds } = AllocatableResourcesResponse.decode(await ask(podResourcesPaths.allocatable));
    expect(cpuIds).toEqual(all.slice(1));
    const found = await board.kubelet?.findContainer("default", "sole", "main");
    const groups = readFileSync(`/proc/${found?.pid}/cgroup`, "utf8");
    const quota = /^\d+:[^:]*\bcpu\b[^:]*:(.*)$/m.exec(groups)?.[1];
    if (quota) expect(readFileSync(`/sys/fs/cgroup/cpu${quota}/cpu.cfs_quota_us`, "utf8").trim()).toBe("-1");

    await board.restartKubelet();
    await board.untilPod("sole", isReady);
    await start("late", { requests: { cpu: "50m" } });
    expect([await allowed("sole"), await allowed("late")]).toEqual([[1], others]);
    await board.remove("late");
  }, 300_000);

  test("does not resize it, and has all run everywhere when it has gone", async () => {
    const body = {
      spec: { containers: [{ name: "main", resources: { requests: { cpu: "500m" }, limits: { cpu: "500m" } } }] },
    };
    await board.api.patch(
      pods,
      { namespace: "default", name: "sole" },
      { type: "strategic", body },
      { subresource: "resize" },
    );
    const pending = await board.untilPod(
      "sole",
      ({ status }) => status?.conditions?.some(({ type }) => type === "PodResizePending") ?? false,
    );
    expect(pending.status?.conditions?.find(({ type }) => type === "PodResizePending")).toMatchObject({
      reason: "Infeasible",
      message: 'Resize is infeasible for Guaranteed Pods alongside CPU Manager policy "static"',
    });
    await board.remove("sole");
    await untilAllowed("many", all);
  }, 300_000);
});
