import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BoardFacts } from "#agent/telemetry/board.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { canRunBus, TestBus, TestSystemd } from "../../../test/support/message-bus.ts";
import { nothingReserved } from "../node/node-status.ts";
import { ResizeError } from "../pod-resizer.ts";
import { cgroupPath, PodCgroupNames, podUidOfFolder } from "./cgroup-name.ts";
import { CgroupTree, pageSizeText } from "./cgroup-tree.ts";
import { burstableShares, podCgroupLimits } from "./limits.ts";
import { PodCgroups, type ReservedGroup } from "./pod-cgroups.ts";

const MiB = 2 ** 20;

function container(name: string, requests: Record<string, string>, limits: Record<string, string> = {}): Container {
  return { name, resources: { requests, limits } };
}

function pod(uid: string, containers: Container[], spec: Partial<Pod["spec"]> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { uid, name: uid, namespace: "default" },
    spec: { containers, ...spec },
  };
}

const sized = { cpu: "200m", memory: "64Mi" };
const guaranteed = pod("g-1", [container("a", sized, sized)]);
const burstable = pod("b-1", [container("a", { cpu: "100m" }, { cpu: "300m" }), container("b", { memory: "32Mi" })]);
const bestEffort = pod("e-1", [container("a", {})]);

describe("limits of a pod as a whole", () => {
  test("guaranteed: the sums of its containers", () => {
    const two = pod("p", [container("a", sized, sized), container("b", sized, sized)]);
    expect(podCgroupLimits(two)).toMatchObject({ cpuShares: 409, cpuQuota_us: 40_000, memoryLimit_bytes: 128 * MiB });
  });

  test("a container without a limit leaves its pod without one", () => {
    const { cpuShares, cpuQuota_us, memoryLimit_bytes } = podCgroupLimits(burstable);
    expect({ cpuShares, cpuQuota_us, memoryLimit_bytes }).toEqual({
      cpuShares: 102,
      cpuQuota_us: undefined,
      memoryLimit_bytes: undefined,
    });
  });

  test("what the pod states for itself comes first", () => {
    const own = { requests: { cpu: "500m", memory: "64Mi" }, limits: { cpu: "1", memory: "100Mi" } };
    expect(podCgroupLimits(pod("p", [container("a", {})], { resources: own }))).toMatchObject({
      cpuShares: 512,
      cpuQuota_us: 100_000,
      memoryLimit_bytes: 100 * MiB,
    });
  });

  test("best effort: the least of the processor, and no huge pages", () => {
    expect(podCgroupLimits(bestEffort)).toEqual({ cpuShares: 2, hugepages: new Map() });
  });

  test("huge pages by their size", () => {
    const huge = { "hugepages-2Mi": "4Mi", ...sized };
    expect(podCgroupLimits(pod("p", [container("a", huge, huge)])).hugepages).toEqual(new Map([[2 * MiB, 4 * MiB]]));
  });

  test("burstable pods share what they request; others do not count", () => {
    expect(burstableShares([burstable, burstable, guaranteed, bestEffort])).toBe(204);
    expect(burstableShares([])).toBe(2);
  });
});

describe("names", () => {
  const names = new PodCgroupNames("/");

  test("folders, and slices of systemd", () => {
    const name = names.pod(burstable, "0a-1b");
    expect(cgroupPath(name, "cgroupfs")).toBe("/kubepods/burstable/pod0a-1b");
    expect(cgroupPath(name, "systemd")).toBe(
      "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a_1b.slice",
    );
    expect(cgroupPath(names.pod(guaranteed, "0a"), "systemd")).toBe("/kubepods.slice/kubepods-pod0a.slice");
    expect(cgroupPath(new PodCgroupNames("/my-board").kubepods, "systemd")).toBe(
      "/my_board.slice/my_board-kubepods.slice",
    );
  });

  test("a pod is known by its folder", () => {
    expect(podUidOfFolder("pod0a-1b", "cgroupfs")).toBe("0a-1b");
    expect(podUidOfFolder("burstable", "cgroupfs")).toBeUndefined();
    expect(podUidOfFolder("kubepods-burstable-pod0a_1b.slice", "systemd")).toBe("0a-1b");
    expect(podUidOfFolder("kubepods-burstable.slice", "systemd")).toBeUndefined();
  });

  test("sizes of pages", () => {
    expect([64 * 1024, 2 * MiB, 1024 * MiB].map(pageSizeText)).toEqual(["64KB", "2MB", "1GB"]);
  });
});

const board = {
  cpus: 4,
  memory_bytes: 1024 * MiB,
  hugepages: [{ size_bytes: 2 * MiB, count: 8 }],
} as unknown as BoardFacts;

function groups(given: {
  mount?: string;
  root?: string;
  pods?: () => Pod[];
  podPidsLimit?: number;
  driver?: string;
  busPath?: string;
  told?: string[];
  reservedGroups?: readonly ReservedGroup[];
}): PodCgroups {
  return new PodCgroups({
    mount: given.mount,
    busPath: given.busPath,
    root: given.root ?? "/",
    podPidsLimit: given.podPidsLimit ?? -1,
    enforceNodeAllocatable: true,
    reservedGroups: given.reservedGroups,
    board,
    hasOwnCpus: () => false,
    cpuQuota: { isEnforced: true, period_us: 100_000 },
    reserved: { ...nothingReserved, cpu_m: 1000, memory_bytes: 128 * MiB },
    runtime: { version: async () => ({ cgroupDriver: given.driver ?? "cgroupfs" }) as never },
    log: silentLog,
    nodeName: "pi-4",
    recorder: {
      record: (about, { type, reason, message }) =>
        given.told?.push(`${about.kind} ${"name" in about ? about.name : ""} ${type} ${reason}: ${message}`),
    },
    pods: given.pods ?? (() => []),
  });
}

describe("version 2, as files", () => {
  let mount: string;
  const group = (path: string, files: Record<string, string> = {}): void => {
    mkdirSync(join(mount, path), { recursive: true });
    const all = { "cgroup.controllers": "cpu memory pids hugetlb\n", "cgroup.subtree_control": "cpu\n", ...files };
    for (const [name, text] of Object.entries(all)) writeFileSync(join(mount, path, name), text);
  };
  const text = (path: string): string => readFileSync(join(mount, path), "utf8");

  beforeEach(() => {
    mount = mkdtempSync(join(tmpdir(), "cgroup2-"));
    for (const path of ["", "kubepods", "kubepods/burstable", "kubepods/besteffort"]) group(path);
  });
  afterEach(() => rmSync(mount, { recursive: true }));

  test("classes, and all pods within what the board has for them", async () => {
    expect(await groups({ mount, podPidsLimit: 50, pods: () => [burstable] }).ensure(guaranteed)).toBe(
      "/kubepods/podg-1",
    );
    expect(text("kubepods/cpu.weight")).toBe("118");
    expect(text("kubepods/memory.max")).toBe(String(896 * MiB));
    expect(text("kubepods/hugetlb.2MB.max")).toBe(String(16 * MiB));
    expect(text("kubepods/burstable/cpu.weight")).toBe("4");
    expect(text("kubepods/burstable/hugetlb.2MB.max")).toBe(String(2n ** 62n));
    expect(text("kubepods/besteffort/cpu.weight")).toBe("1");
    expect(text("kubepods/podg-1/cpu.max")).toBe("20000 100000");
    expect(text("kubepods/podg-1/memory.max")).toBe(String(64 * MiB));
    expect(text("kubepods/podg-1/pids.max")).toBe("50");
    expect(text("kubepods/podg-1/hugetlb.2MB.max")).toBe("0");
    // Each level hands on what it was given.
    expect(text("cgroup.subtree_control")).toStartWith("+");
  });

  test("a resize raises before and lowers after, and never below what is used", async () => {
    const cgroups = groups({ mount });
    await cgroups.ensure(guaranteed);
    writeFileSync(join(mount, "kubepods/podg-1/memory.current"), String(40 * MiB));
    const more = { cpu: "100m", memory: "128Mi" };
    const resized = pod("g-1", [container("a", more, more)]);
    expect(cgroups.isBehind(guaranteed)).toBe(false);
    expect(cgroups.isBehind(resized)).toBe(true);
    await cgroups.raise(resized);
    expect(text("kubepods/podg-1/memory.max")).toBe(String(128 * MiB));
    expect(text("kubepods/podg-1/cpu.max")).toBe("20000 100000");
    await cgroups.settle(resized);
    expect(text("kubepods/podg-1/cpu.max")).toBe("10000 100000");
    expect(cgroups.isBehind(resized)).toBe(false);
    const less = { cpu: "100m", memory: "32Mi" };
    const small = pod("g-1", [container("a", less, less)]);
    await cgroups.raise(small);
    const refused = await cgroups.settle(small).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ResizeError);
    expect((refused as Error).message).toBe(
      `attempting to set pod memory limit (${32 * MiB}) below current usage (${40 * MiB})`,
    );
    expect(text("kubepods/podg-1/memory.max")).toBe(String(128 * MiB));
    expect(cgroups.isBehind(small)).toBe(true);
  });

  test("what holds all pods together is told at the Node, and tried again when it failed", async () => {
    const told: string[] = [];
    const cgroups = groups({ mount, told });
    const file = join(mount, "kubepods/memory.max");
    mkdirSync(file);
    await cgroups.sweep(() => true);
    expect(told).toEqual([
      expect.stringMatching(
        /^Node pi-4 Warning FailedNodeAllocatableEnforcement: Failed to update Node Allocatable Limits "\/kubepods": EISDIR/,
      ),
    ]);
    rmSync(file, { recursive: true });
    for (let sweep = 0; sweep < 2; sweep++) await cgroups.sweep(() => true);
    expect(told.slice(1)).toEqual([
      "Node pi-4 Normal NodeAllocatableEnforced: Updated Node Allocatable limit across pods",
    ]);
  });

  test("what runs beside pods is held to what is reserved for it, where its group is there", async () => {
    group("kube");
    const told: string[] = [];
    const reserved = { what: "Kube", cpu_m: 250, memory_bytes: 64 * MiB, pids: 100 } as const;
    const reservedGroups = [
      { ...reserved, group: "/kube" },
      { ...reserved, what: "System", group: "/system" } as const,
    ];
    await groups({ mount, told, reservedGroups }).sweep(() => true);
    expect([text("kube/cpu.weight"), text("kube/memory.max"), text("kube/pids.max")]).toEqual([
      "10",
      String(64 * MiB),
      "100",
    ]);
    expect(told.slice(1)).toEqual([
      "Node pi-4 Normal NodeAllocatableEnforced: Updated limits on kube reserved cgroup /kube",
      `Node pi-4 Warning FailedNodeAllocatableEnforcement: Failed to enforce System Reserved Cgroup Limits on "/system": cgroup "/system" doesn't exist`,
    ]);
  });

  test("a pod from before has no group, and none is made while it runs", async () => {
    const cgroups = groups({ mount });
    await cgroups.raise(bestEffort);
    await cgroups.settle(bestEffort);
    expect(cgroups.isBehind(bestEffort)).toBe(false);
    expect(existsSync(join(mount, "kubepods/besteffort/pode-1"))).toBe(false);
  });

  test("without the memory controller pods go without", async () => {
    writeFileSync(join(mount, "cgroup.controllers"), "cpu pids\n");
    const cgroups = groups({ mount });
    expect(await cgroups.ensure(guaranteed)).toBeUndefined();
    expect(cgroups.isBehind(guaranteed)).toBe(false);
    expect(existsSync(join(mount, "kubepods/podg-1"))).toBe(false);
    await cgroups.remove("g-1");
  });
});

describe.skipIf(!canRunBus())("slices of systemd", () => {
  let directory: string;
  let bus: TestBus;
  let systemd: TestSystemd;
  const none = 2n ** 64n - 1n;
  const burstableSlice = "kubepods.slice/kubepods-burstable.slice";
  const propertiesOf = (unit: string): Record<string, unknown> => Object.fromEntries(systemd.units.get(unit) ?? []);

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "slices-"));
    for (const path of ["", "kubepods.slice", burstableSlice, "kubepods.slice/kubepods-besteffort.slice"]) {
      mkdirSync(join(directory, "cgroup", path), { recursive: true });
      for (const name of ["cgroup.controllers", "cgroup.subtree_control"])
        writeFileSync(join(directory, "cgroup", path, name), "cpu memory pids hugetlb\n");
    }
    bus = await TestBus.start(directory);
    systemd = await TestSystemd.start(bus);
  });
  afterEach(async () => {
    systemd.stop();
    await bus.stop();
    rmSync(directory, { recursive: true });
  });
  const slices = (): PodCgroups =>
    groups({ mount: join(directory, "cgroup"), driver: "systemd", podPidsLimit: 50, busPath: bus.path });

  test("start, change and end with their pods", async () => {
    const cgroups = slices();
    const path = `/${burstableSlice}/kubepods-burstable-podb_1.slice`;
    expect(await cgroups.ensure(burstable)).toBe(path);
    expect([...systemd.units.keys()]).toEqual([
      "kubepods.slice",
      "kubepods-besteffort.slice",
      "kubepods-burstable.slice",
      "kubepods-burstable-podb_1.slice",
    ]);
    expect(propertiesOf("kubepods.slice")).toMatchObject({
      Wants: ["-.slice"],
      MemoryMax: BigInt(896 * MiB),
      CPUWeight: 118n,
      MemoryAccounting: true,
      DefaultDependencies: false,
    });
    expect(propertiesOf("kubepods-burstable-podb_1.slice")).toMatchObject({
      Wants: ["kubepods-burstable.slice"],
      CPUWeight: 4n,
      TasksMax: 50n,
    });
    // What systemd knows nothing of stands in the files alone.
    expect(readFileSync(join(directory, "cgroup", path, "hugetlb.2MB.max"), "utf8")).toBe("0");
    const limits = { cpu: "155m", memory: "64Mi" };
    const resized = pod("b-1", [container("a", { cpu: "100m", memory: "32Mi" }, limits)]);
    for (const [name, text] of Object.entries({
      "cpu.weight": "4",
      "cpu.max": "max 100000",
      "memory.max": "max",
      "memory.current": "0",
    }))
      writeFileSync(join(directory, "cgroup", path, name), text);
    await cgroups.raise(resized);
    await cgroups.settle(resized);
    expect(propertiesOf("kubepods-burstable-podb_1.slice")).toMatchObject({
      // Whole percents of a processor; the file has what was granted.
      CPUQuotaPerSecUSec: 160_000n,
      MemoryMax: BigInt(64 * MiB),
    });
    expect(readFileSync(join(directory, "cgroup", path, "cpu.max"), "utf8")).toBe("15500 100000");
    await cgroups.remove("b-1");
    expect(systemd.units.has("kubepods-burstable-podb_1.slice")).toBe(false);
  });

  test("those that are there already are limited anew", async () => {
    systemd.units.set("kubepods.slice", new Map([["MemoryMax", none]]));
    await slices().sweep(() => true);
    expect(propertiesOf("kubepods.slice")["MemoryMax"]).toBe(BigInt(896 * MiB));
  });

  test("a slice that does not start is said", async () => {
    const cgroups = slices();
    await cgroups.sweep(() => true);
    systemd.outcome = "failed";
    const failure = await cgroups.ensure(burstable).catch((error: Error) => error.message);
    expect(failure).toBe("systemd: StartTransientUnit of kubepods-burstable-podb_1.slice: failed");
  });

  test("without systemd pods have no groups", async () => {
    systemd.stop();
    await bus.stop();
    expect(await slices().ensure(burstable)).toBeUndefined();
    bus = await TestBus.start(directory);
    systemd = await TestSystemd.start(bus);
  });
});

const kernel = "/sys/fs/cgroup";
const hasVersion1 = existsSync(`${kernel}/memory/memory.limit_in_bytes`) && process.getuid?.() === 0;

describe.skipIf(!hasVersion1)("version 1, by the kernel", () => {
  const root = `/bramble-test-${process.pid}`;
  const hierarchies = readdirSync(kernel).map((name) => join(kernel, name));
  const value = (controller: string, path: string): number =>
    Number(readFileSync(`${kernel}/${controller}${root}/kubepods/${path}`, "utf8"));
  const isThere = (path: string): boolean => hierarchies.some((each) => existsSync(`${each}${root}/kubepods/${path}`));

  afterAll(async () => {
    await (await CgroupTree.open([])).remove(root);
  });

  test("groups are made, limited and taken away", async () => {
    let active: Pod[] = [burstable];
    const cgroups = groups({ root, pods: () => active, podPidsLimit: 40 });
    expect(await cgroups.ensure(burstable)).toBe(`${root}/kubepods/burstable/podb-1`);
    await cgroups.ensure(guaranteed);
    expect(value("memory", "memory.limit_in_bytes")).toBe(896 * MiB);
    expect(value("cpu", "cpu.shares")).toBe(3072);
    expect(value("cpu", "burstable/cpu.shares")).toBe(102);
    expect(value("cpu", "besteffort/cpu.shares")).toBe(2);
    expect(value("cpu", "podg-1/cpu.cfs_quota_us")).toBe(20_000);
    expect(value("memory", "podg-1/memory.limit_in_bytes")).toBe(64 * MiB);
    expect(value("pids", "podg-1/pids.max")).toBe(40);
    expect(value("cpu", "burstable/podb-1/cpu.cfs_quota_us")).toBe(-1);
    active = [];
    await cgroups.remove("b-1");
    expect(isThere("burstable/podb-1")).toBe(false);
    expect(value("cpu", "burstable/cpu.shares")).toBe(2);
  });

  test("a kubelet that starts again takes away what nobody knows", async () => {
    const more = { cpu: "400m", memory: "96Mi" };
    const resized = pod("g-1", [container("a", more, more)]);
    await groups({ root }).ensure(bestEffort);
    mkdirSync(`${kernel}/cpuset${root}/kubepods/besteffort/pode-1/below`, { recursive: true });
    const again = groups({ root });
    await again.sweep((uid) => uid === "g-1");
    expect(isThere("besteffort/pode-1")).toBe(false);
    expect(isThere("podg-1")).toBe(true);
    // It does not know what it gave, so it sees to it that it is what was granted.
    expect(again.isBehind(resized)).toBe(true);
    await again.raise(resized);
    await again.settle(resized);
    expect(value("cpu", "podg-1/cpu.cfs_quota_us")).toBe(40_000);
    expect(value("memory", "podg-1/memory.limit_in_bytes")).toBe(96 * MiB);
  });

  test("a group with a process in it stays, and goes at the next sweep", async () => {
    const cgroups = groups({ root });
    await cgroups.ensure(bestEffort);
    const sleeper = Bun.spawn(["sleep", "600"]);
    writeFileSync(`${kernel}/memory${root}/kubepods/besteffort/pode-1/cgroup.procs`, String(sleeper.pid));
    await cgroups.remove("e-1");
    expect(isThere("besteffort/pode-1")).toBe(true);
    sleeper.kill("SIGKILL");
    await sleeper.exited;
    await cgroups.sweep(() => false);
    expect(isThere("besteffort/pode-1")).toBe(false);
  });
});
