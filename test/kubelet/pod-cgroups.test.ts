import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { CgroupTree } from "#agent/kubelet/cgroups/cgroup-tree.ts";
import { events, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { isReady, KubeletBoard, nodeName, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

const mount = "/sys/fs/cgroup";
const isVersion1 = existsSync(`${mount}/memory/memory.limit_in_bytes`);
const root = `/bramble-board-${process.pid}`;
const MiB = 2 ** 20;
const patience_s = 240;

describe.skipIf(!canRunDockerd() || !isVersion1)("control groups of pods, by Docker", () => {
  let board: KubeletBoard;
  const cgroups = { root, podPidsLimit: 100, enforceNodeAllocatable: true };

  beforeAll(async () => {
    board = await KubeletBoard.start(async () => ({ cgroups }));
  }, 300_000);
  afterAll(async () => {
    await board?.stop();
    await (await CgroupTree.open([])).remove(root);
  }, 300_000);

  const value = (controller: string, path: string): number =>
    Number(readFileSync(`${mount}/${controller}${root}/kubepods/${path}`, "utf8"));
  const isThere = (path: string): boolean =>
    readdirSync(mount).some((each) => existsSync(`${mount}/${each}${root}/kubepods/${path}`));
  const resources = (cpu: string, memory: string): object => ({ requests: { cpu, memory }, limits: { cpu, memory } });
  const start = async (name: string, own: object): Promise<Pod> => {
    await board.api.create(pods, pod(name, { restartPolicy: "Always", containers: [shell("main", wait, own)] }));
    return board.untilPod(name, isReady);
  };
  const uidOf = ({ metadata }: Pod): string => metadata.uid ?? "";
  const end = async (name: string): Promise<void> => {
    await board.api.delete(pods, { namespace: "default", name });
    await waitFor(
      `the end of ${name}`,
      patience_s,
      async () =>
        (await board.api.list(pods, { namespace: "default" })).items.every(({ metadata }) => metadata.name !== name) ||
        undefined,
    );
  };
  /** Below /sys/fs/cgroup/memory, of the container's first process. */
  const groupOf = async (uid: string): Promise<string> => {
    const [container] = await board.runtime.listContainers({ podUid: uid });
    const groups = readFileSync(`/proc/${container?.pid}/cgroup`, "utf8");
    return /^\d+:memory:(.*)$/m.exec(groups)?.[1] ?? "";
  };

  test("each pod stands in the group of its class, limited as a whole, and leaves nothing", async () => {
    const [sure, some, least] = await Promise.all([
      start("sure", { resources: resources("100m", "48Mi") }),
      start("some", { resources: { requests: { cpu: "200m", memory: "16Mi" } } }),
      start("least", {}),
    ]);
    expect(await groupOf(uidOf(sure))).toStartWith(`${root}/kubepods/pod${uidOf(sure)}/`);
    expect(await groupOf(uidOf(some))).toStartWith(`${root}/kubepods/burstable/pod${uidOf(some)}/`);
    expect(await groupOf(uidOf(least))).toStartWith(`${root}/kubepods/besteffort/pod${uidOf(least)}/`);
    expect(value("memory", `pod${uidOf(sure)}/memory.limit_in_bytes`)).toBe(48 * MiB);
    expect(value("cpu", `pod${uidOf(sure)}/cpu.cfs_quota_us`)).toBe(10_000);
    expect(value("pids", `burstable/pod${uidOf(some)}/pids.max`)).toBe(100);
    expect(value("cpu", `burstable/pod${uidOf(some)}/cpu.shares`)).toBe(204);
    expect(value("cpu", "burstable/cpu.shares")).toBe(204);
    await waitFor(
      "an event of the Node",
      patience_s,
      async () => (await board.reasonsOf(nodeName)).includes("NodeAllocatableEnforced") || undefined,
    );
    const stats = await board.kubelet?.podStats();
    expect(stats?.every(({ containers }) => containers.every(({ stats }) => stats.memoryUsage_bytes > 0))).toBe(true);
    await Promise.all(["some", "least"].map(end));
    await waitFor(
      "groups that are gone",
      patience_s,
      () => (!isThere(`burstable/pod${uidOf(some)}`) && !isThere(`besteffort/pod${uidOf(least)}`)) || undefined,
    );
    await waitFor("shares without the pod", patience_s, () => value("cpu", "burstable/cpu.shares") === 2 || undefined);
  }, 300_000);

  test("a resize in place changes the pod's group with its container's", async () => {
    const key = { namespace: "default", name: "sure" };
    const before = await board.api.get(pods, key);
    for (const [cpu, memory, quota_us, limit_bytes] of [
      ["200m", "64Mi", 20_000, 64 * MiB],
      ["150m", "32Mi", 15_000, 32 * MiB],
    ] as const) {
      const body = { spec: { containers: [{ name: "main", resources: resources(cpu, memory) }] } };
      await board.api.patch(pods, key, { type: "strategic", body }, { subresource: "resize" });
      const after = await board.untilPod("sure", ({ status }) => {
        const isResizing = status?.conditions?.some(({ type }) => type.startsWith("PodResize"));
        return status?.containerStatuses?.[0]?.resources?.limits?.["cpu"] === cpu && !isResizing;
      });
      expect(after.status?.containerStatuses?.[0]?.containerID).toBe(
        before.status?.containerStatuses?.[0]?.containerID,
      );
      expect(value("cpu", `pod${uidOf(before)}/cpu.cfs_quota_us`)).toBe(quota_us);
      expect(value("memory", `pod${uidOf(before)}/memory.limit_in_bytes`)).toBe(limit_bytes);
    }
  }, 300_000);

  test("memory limits of the pod hold across its containers", async () => {
    const { metadata } = await board.api.create(
      pods,
      pod("shared", {
        restartPolicy: "Never",
        resources: { limits: { memory: "24Mi", cpu: "500m" } },
        // No container has a limit of its own: only the pod's can end this.
        containers: [shell("main", "x=$(head -c 40000000 /dev/zero | tr '\\0' x); : $x")],
      }),
    );
    const ended = await board.untilPod("shared", ({ status }) => status?.phase === "Failed");
    expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).not.toBe(0);
    await waitFor("its group to be gone", patience_s, () => !isThere(`burstable/pod${metadata.uid}`) || undefined);
  }, 300_000);

  test("a kubelet that starts again sweeps, and keeps what runs", async () => {
    const kept = await board.api.get(pods, { namespace: "default", name: "sure" });
    await board.stopKubelet();
    await (await CgroupTree.open([])).create(`${root}/kubepods/besteffort/pod0123-left`, {});
    await board.startKubelet();
    await waitFor("the sweep", patience_s, () => !isThere("besteffort/pod0123-left") || undefined);
    expect(await groupOf(uidOf(kept))).toStartWith(`${root}/kubepods/pod${uidOf(kept)}/`);
  }, 300_000);

  test("pods from before groups go on where they are", async () => {
    await board.stopKubelet();
    const { cgroups: _, ...without } = board.more;
    Object.assign(board, { more: without });
    await board.startKubelet();
    const old = await start("old", { resources: resources("100m", "32Mi") });
    await board.stopKubelet();
    Object.assign(board, { more: { ...without, cgroups } });
    await board.startKubelet();
    await start("new", {});
    const after = await board.api.get(pods, { namespace: "default", name: "old" });
    expect(after.status?.containerStatuses?.[0]).toMatchObject({
      containerID: old.status?.containerStatuses?.[0]?.containerID,
      restartCount: 0,
    });
    expect(isThere(`pod${uidOf(old)}`)).toBe(false);
    const warnings = (await board.api.list(events, { namespace: "default" })).items;
    expect(warnings.filter(({ reason }) => reason === "FailedCreatePodContainer")).toEqual([]);
  }, 300_000);
});
