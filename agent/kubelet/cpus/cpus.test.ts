import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerResources, ContainerStatus } from "#agent/runtime/runtime.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { placementOptions } from "#shared/config/placement-options.ts";
import { nothingReserved } from "../node/node-status.ts";
import { refuseFixed } from "../node/pod-resize.ts";
import { CpuManager } from "./cpu-manager.ts";
import { formatCpuSet, parseCpuSet } from "./cpu-set.ts";
import { type CpuPolicy, type PlacementSettings, placementOf, withReservedCpus } from "./cpu-settings.ts";
import { refuseOtherPolicy } from "./cpu-state.ts";
import { numaNodes, readCpuTopology, topologyOf } from "./cpu-topology.ts";
import { takeCpus } from "./take-cpus.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-cpus-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("lists of CPUs are the kernel's", () => {
  expect(formatCpuSet(parseCpuSet("0-3, 5,7-8"))).toBe("0-3,5,7-8");
  expect(formatCpuSet(parseCpuSet(""))).toBe("");
  expect(formatCpuSet(parseCpuSet("3,1,2"))).toBe("1-3");
  for (const wrong of ["a", "3-1", "1-", "1,,2", "9999"]) expect(() => parseCpuSet(wrong)).toThrow("invalid range");
});

/** Cores of two CPUs each, numbered as x86 does: 0 and 4 are one core's. */
const threads = topologyOf([0, 1, 2, 3, 4, 5, 6, 7].map((id) => ({ id, core: String(id % 4), socket: 0 })));
const plain = topologyOf([0, 1, 2, 3].map((id) => ({ id, core: String(id), socket: 0 })));
const sockets = topologyOf([0, 1, 2, 3, 4, 5, 6, 7].map((id) => ({ id, core: String(id), socket: id < 4 ? 0 : 1 })));

describe("CPUs that lie together", () => {
  const taken = (topology: typeof threads, available: string, count: number): string =>
    formatCpuSet(takeCpus(topology, parseCpuSet(available), count));

  test("are whole cores first, then what is left of others", () => {
    expect(taken(threads, "0-7", 2)).toBe("0,4");
    expect(taken(threads, "1-7", 1)).toBe("4");
    expect(taken(threads, "1-7", 3)).toBe("1,4-5");
    expect(taken(plain, "1-3", 2)).toBe("1-2");
  });

  test("of one socket where one is free", () => {
    expect(taken(sockets, "1-7", 4)).toBe("4-7");
    expect(taken(sockets, "1-7", 2)).toBe("1-2");
  });

  test("or there are too few", () => {
    expect(() => taken(plain, "1-2", 3)).toThrow(
      "not enough cpus available to satisfy request: requested=3, available=2",
    );
  });
});

test("the board's own CPUs are told by the kernel", () => {
  const { cpus, cpusPerCore } = readCpuTopology();
  expect(cpus.length).toBeGreaterThan(0);
  expect(cpus.length % cpusPerCore).toBe(0);
  expect(numaNodes()).toBeGreaterThan(0);
});

const container = (name: string, cpu: string): Container => ({
  name,
  resources: { requests: { cpu, memory: "1Mi" }, limits: { cpu, memory: "1Mi" } },
});
const pod = (uid: string, containers: Container[], more = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: uid, namespace: "default", uid },
  spec: { containers, ...more },
});

describe("a board that gives out CPUs", () => {
  let run = 0;
  async function opened(
    policy: Partial<CpuPolicy> = {},
    { topology = plain, reserved_m = 1000, place = join(folder, String(run++)) } = {},
  ) {
    mkdirSync(place, { recursive: true });
    const running: Partial<ContainerStatus>[] = [];
    const told: string[] = [];
    const manager = await CpuManager.open({
      folder: place,
      policy: { wholeCores: false, keepsReserved: false, reserved: undefined, ...policy },
      reserved_m,
      topology,
      log: silentLog,
      runtime: {
        listContainers: async () => running as ContainerStatus[],
        updateResources: async (id: string, { cpuset }: ContainerResources) => void told.push(`${id}=${cpuset}`),
      },
    });
    const state = (): Record<string, unknown> =>
      JSON.parse(readFileSync(join(place, "cpu_manager_state"), "utf8")) as Record<string, unknown>;
    return { manager, running, told, state, place };
  }

  test("gives whole CPUs to guaranteed pods that ask for such, and the rest to all others", async () => {
    const { manager, running, told, state } = await opened();
    running.push({ id: "other", state: "running", name: "c", pod: { uid: "o", namespace: "n", name: "o" } });
    expect(manager.allocate(pod("a", [container("c", "2"), container("half", "500m")]))).toBeUndefined();
    expect(manager.allocate(pod("b", [{ name: "c", resources: { requests: { cpu: "1" } } }]))).toBeUndefined();
    await manager.settled();
    expect([manager.own("a", "c"), manager.own("a", "half"), manager.own("b", "c")]).toEqual([[1, 2], [], []]);
    expect(manager.held({ cpuQuota_us: 200_000, cpuPeriod_us: 100_000, cpuShares: 2048 }, "a", "c")).toEqual({
      cpuShares: 2048,
      cpuset: "1-2",
    });
    expect(manager.held({ cpuQuota_us: 50_000 }, "b", "c")).toEqual({ cpuQuota_us: 50_000, cpuset: "0,3" });
    expect(told).toEqual(["other=0,3"]);
    expect(state()).toEqual({ policyName: "static", defaultCpuSet: "0,3", entries: { a: { c: "1-2" } }, checksum: 0 });
    expect(manager.allocate(pod("c", [container("c", "2")]))).toEqual({
      reason: "UnexpectedAdmissionError",
      message:
        "Allocate failed due to not enough cpus available to satisfy request: requested=2, available=1, which is unexpected",
    });
    manager.release("a");
    await manager.settled();
    expect(told).toEqual(["other=0,3", "other=0-3"]);
    expect(state()).toEqual({ policyName: "static", defaultCpuSet: "0-3", entries: {}, checksum: 0 });
    expect(manager.allocatable()).toEqual([1, 2, 3]);
  });

  test("keeps what it gave out when the agent starts again, and takes back what nobody has any more", async () => {
    const { manager, place } = await opened();
    manager.allocate(pod("a", [container("c", "1")]));
    await manager.settled();
    const again = await opened({}, { place });
    expect(again.manager.own("a", "c")).toEqual([1]);
    expect(again.manager.allocate(pod("a", [container("c", "1")]))).toBeUndefined();
    expect(again.manager.own("a", "c")).toEqual([1]);
    await expect(refuseOtherPolicy(place)).rejects.toThrow(
      'configured policy "none" differs from state checkpoint policy',
    );
    await again.manager.retain(() => false);
    expect(again.manager.own("a", "c")).toEqual([]);
    await refuseOtherPolicy(place);
  });

  test("refuses to start on a state that does not fit", async () => {
    const { manager, place } = await opened();
    manager.allocate(pod("a", [container("c", "1")]));
    await manager.settled();
    await expect(opened({}, { place, reserved_m: 2000 })).rejects.toThrow('not all reserved cpus: "0-1"');
    await expect(opened({}, { place, topology: threads })).rejects.toThrow(
      `current set of available CPUs "0-7" doesn't match with CPUs in state "0-3"`,
    );
    writeFileSync(join(place, "cpu_manager_state"), '{"policyName":"none","defaultCpuSet":""}');
    await expect(opened({}, { place })).rejects.toThrow(
      "please drain this node and delete the CPU manager checkpoint file",
    );
  });

  test("what is reserved stays in the common pool, unless it is kept strictly", async () => {
    const shared = await opened({ reserved: new Set([3]) });
    expect(shared.manager.held({}, "x", "c").cpuset).toBe("0-3");
    const strict = await opened({ reserved: new Set([3]), keepsReserved: true });
    expect(strict.manager.held({}, "x", "c").cpuset).toBe("0-2");
    expect(strict.manager.allocate(pod("a", [container("c", "3")]))).toBeUndefined();
    await expect(opened({}, { reserved_m: 0 })).rejects.toThrow("to be greater than zero");
  });

  test("gives whole cores alone where it was told to", async () => {
    const { manager } = await opened({ wholeCores: true }, { topology: threads });
    expect(manager.allocate(pod("odd", [container("c", "1")]))).toEqual({
      reason: "SMTAlignmentError",
      message: "SMT Alignment Error: requested 1 cpus not multiple cpus per core = 2",
    });
    expect(manager.allocate(pod("many", [container("c", "8")]))?.message).toBe(
      "SMT Alignment Error: not enough free physical CPUs: available physical CPUs = 6, requested CPUs = 8, CPUs per core = 2",
    );
    expect(manager.allocate(pod("even", [container("c", "2")]))).toBeUndefined();
    expect(manager.own("even", "c")).toEqual([1, 5]);
  });

  test("CPUs of init containers go on to those that follow, but not those of sidecars", async () => {
    const { manager } = await opened();
    const initContainers = [container("init", "2"), { ...container("sidecar", "1"), restartPolicy: "Always" }];
    expect(manager.allocate(pod("a", [container("c", "1")], { initContainers }))).toBeUndefined();
    expect(["init", "sidecar", "c"].map((name) => manager.own("a", name))).toEqual([[1, 2], [1], [2]]);
    await manager.settled();
    manager.release("a");
    expect(manager.held({}, "x", "c").cpuset).toBe("0-3");
  });

  test("a container that was made before others got CPUs is told when it has started", async () => {
    const { manager, told } = await opened();
    manager.created("id", manager.held({}, "x", "c"));
    manager.allocate(pod("a", [container("c", "1")]));
    await manager.settled();
    await manager.started("id", "x", "c");
    await manager.started("id", "x", "c");
    expect(told).toEqual(["id=0,2-3"]);
  });
});

describe("settings", () => {
  const fallbacks = Object.fromEntries(
    Object.entries(placementOptions).map(([key, { fallback }]) => [key, fallback]),
  ) as PlacementSettings;
  const root = `${join(folder, "root")}/`;
  const write = (path: string, content: string): void => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  write("sys/devices/system/cpu/online", "0-3\n");
  mkdirSync(join(root, "sys/devices/system/node/node0"), { recursive: true });
  const placed = (given: Partial<PlacementSettings>) => placementOf({ ...fallbacks, ...given }, root);

  test("are checked in upstream's words", () => {
    const options = (...cpuManagerPolicyOptions: string[]) => ({
      cpuManagerPolicy: "static" as const,
      cpuManagerPolicyOptions,
    });
    expect(() => placed(options("whole=true"))).toThrow('unknown CPU Manager Policy option: "whole"');
    expect(() => placed(options("align-by-socket=true"))).toThrow("Alpha-level Options not enabled");
    expect(() => placed(options("full-pcpus-only=yes"))).toThrow('bad value for option "full-pcpus-only"');
    expect(() => placed({ cpuManagerPolicyOptions: ["full-pcpus-only=true"] })).toThrow("None policy");
    expect(() => placed({ reservedCpus: "x" })).toThrow("unable to parse reservedSystemCPUs");
    expect(() => placed({ reservedCpus: "3-4" })).toThrow("cpuset 3-4 is not a subset of online cpus 0-3");
    expect(placed(options("full-pcpus-only=true", "distribute-cpus-across-numa=true")).cpus).toEqual({
      wholeCores: true,
      keepsReserved: false,
      reserved: undefined,
    });
  });

  test("of several NUMA nodes are for boards that have one", () => {
    const { fixed } = placed({ topologyManagerPolicy: "single-numa-node", memoryManagerPolicy: "Static" });
    expect(fixed).toEqual({ cpu: false, memory: true });
    mkdirSync(join(root, "sys/devices/system/node/node1"));
    expect(() => placed({ topologyManagerPolicy: "restricted" })).toThrow("this board has 2 NUMA nodes");
    expect(placed({}).cpus).toBeUndefined();
  });

  test("reserved CPUs stand for what is reserved of their time", () => {
    const reserved = { ...nothingReserved, cpu_m: 250, memory_bytes: 1 };
    expect(withReservedCpus(reserved, { reservedCpus: "0,2" })).toEqual({ ...reserved, cpu_m: 2000 });
    expect(withReservedCpus(reserved, { reservedCpus: "" })).toEqual(reserved);
  });
});

test("CPUs of a guaranteed pod stay as they were when it was let in", () => {
  const fixed = { cpu: true, memory: false };
  const before = pod("a", [container("c", "1")]);
  expect(refuseFixed(pod("a", [container("c", "2")]), before, fixed)).toEqual({
    reason: "Infeasible",
    message: 'Resize is infeasible for Guaranteed Pods alongside CPU Manager policy "static"',
  });
  expect(refuseFixed(before, before, fixed)).toBeUndefined();
  expect(refuseFixed(pod("a", [container("c", "2")]), before, { cpu: false, memory: true })).toBeUndefined();
  const burstable = pod("a", [{ name: "c", resources: { requests: { cpu: "2" } } }]);
  expect(refuseFixed(burstable, before, fixed)).toBeUndefined();
});
