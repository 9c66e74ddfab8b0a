import { expect, test } from "bun:test";
import type { Host } from "#agent/host/host.ts";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EventToRecord } from "#shared/client/event-recorder.ts";
import { silentLog } from "#shared/client/log.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import { ImageGarbage } from "../images/image-gc.ts";
import type { EvictionSignal } from "../pod-counts.ts";
import type { PodFailure } from "../pod-end.ts";
import type { PodWorker } from "../pod-worker.ts";
import type { Shortage } from "./eviction-gauge.ts";
import type { BoardSignal } from "./eviction-rules.ts";
import { PressureRelief, type PressureReliefOptions } from "./pressure-relief.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default", uid: "u" },
  spec: {
    containers: [{ name: "main", image: "web:1" }],
    volumes: [{ name: "cache", emptyDir: { sizeLimit: "1Mi" } }],
  },
};

const shortOf = (signal: BoardSignal, grace_ms = 0): Shortage => ({
  threshold: { signal, least: { kind: "absolute", value: 2048 }, grace_ms },
  least: 2048,
  available: 1024,
});

/** What is done to the pod when the board is short of something and its cache holds `cache_bytes`. */
async function relieved(
  shortages: readonly Shortage[],
  cache_bytes: number,
  told: EventToRecord[] = [],
  signals: EvictionSignal[] = [],
  more: Partial<PressureReliefOptions> = {},
): Promise<PodFailure[]> {
  const failures: PodFailure[] = [];
  const fail = (failure: PodFailure): unknown => failures.push(failure);
  const worker = { uid: "u", pod, active: true, evicting: false, fail } as unknown as PodWorker;
  const options: Partial<PressureReliefOptions> = {
    systemOom: { look: () => Promise.resolve([]) },
    imageFolder: () => undefined,
    workers: () => [worker],
    tell: (event) => told.push(event),
    podStats: () => Promise.resolve([{ pod, containers: [] }]),
    evicted: (signal) => signals.push(signal),
    storageUsage: () => Promise.resolve({ containers: new Map(), emptyDirs: new Map([["cache", cache_bytes]]) }),
    collectGarbage: async () => undefined,
    imageGarbage: { collectUnused: async () => undefined } as unknown as ImageGarbage,
    isRelieved: async () => false,
    longestGrace_s: 20,
    limitsStorage: true,
    log: silentLog,
    ...more,
  };
  await new PressureRelief(options as PressureReliefOptions).relieve(shortages);
  return failures;
}

const lowOnMemory = "The node was low on resource: memory. Threshold quantity: 2Ki, available: 1Ki. ";

test("a pod that goes for the board's sake is the target of a disruption", async () => {
  const told: EventToRecord[] = [];
  expect(await relieved([shortOf("memory.available")], 0, told)).toMatchObject([
    { reason: "Evicted", grace_s: 1, disruption: lowOnMemory },
  ]);
  expect(told).toEqual([{ type: "Warning", reason: "EvictionThresholdMet", message: "Attempting to reclaim memory" }]);
});

test("a pod that goes for its own limit is not", async () => {
  const message = 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ';
  expect(await relieved([], 2 ** 21)).toEqual([{ reason: "Evicted", message, grace_s: 1 }]);
});

test("for a soft threshold a pod has the time it is granted, and no more than itself asks for", async () => {
  const soft = [shortOf("memory.available", 60_000)];
  expect(await relieved(soft, 0)).toMatchObject([{ grace_s: 20 }]);
  const brief = { ...pod, spec: { ...pod.spec, terminationGracePeriodSeconds: 5 } };
  const podStats = () => Promise.resolve([{ pod: brief, containers: [] }]);
  expect(await relieved(soft, 0, [], [], { podStats })).toMatchObject([{ grace_s: 5 }]);
});

test("no pod goes where removing what nobody uses relieves the disk", async () => {
  const done: string[] = [];
  const told: EventToRecord[] = [];
  const more: Partial<PressureReliefOptions> = {
    collectGarbage: async () => void done.push("containers"),
    imageGarbage: { collectUnused: async () => void done.push("images") } as unknown as ImageGarbage,
    isRelieved: async () => true,
  };
  expect(await relieved([shortOf("nodefs.inodesFree")], 0, told, [], more)).toEqual([]);
  expect(done).toEqual(["containers", "images"]);
  expect(told).toMatchObject([{ reason: "EvictionThresholdMet", message: "Attempting to reclaim inodes" }]);
});

test("a pod keeps what it has on the disk where that is not counted", async () => {
  expect(await relieved([], 2 ** 21, [], [], { limitsStorage: false })).toEqual([]);
});

test("what is evicted is counted by what ran short", async () => {
  const signals: EvictionSignal[] = [];
  await relieved([shortOf("memory.available")], 0, [], signals);
  await relieved([shortOf("imagefs.available")], 0, [], signals);
  await relieved([], 2 ** 21, [], signals);
  expect(signals).toEqual(["memory.available", "imagefs.available", "emptydirfs.limit"]);
});

const gib = 2 ** 30;
const shortMessage =
  "Insufficient free disk space on the node's image filesystem (90% of 10.0 GiB used). Failed to free sufficient space by deleting unused images (freed 512 bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data.";

/** Relief of a board on which only its image disk and the kernel's victims are looked at, and what it tells. */
function imageRelief(options: Partial<PressureReliefOptions>): { look: () => Promise<void>; told: string[] } {
  const told: string[] = [];
  const all: Partial<PressureReliefOptions> = {
    systemOom: { look: () => Promise.resolve([]) },
    imageFolder: () => "/images",
    host: { statfs: async () => ({ capacity_bytes: 10 * gib, available_bytes: gib }) } as unknown as Host,
    workers: () => [],
    limitsStorage: true,
    log: silentLog,
    ...options,
    tell: ({ type, reason, message }) => told.push(`${type} ${reason}: ${message}`),
  };
  const relief = new PressureRelief(all as PressureReliefOptions);
  return { look: () => relief.relieve([]), told };
}

test("a disk that stays full although all images that can go are gone is told, then that they do not suffice", async () => {
  const disk = { capacity_bytes: 10 * gib, available_bytes: gib };
  const { look, told } = imageRelief({
    host: { statfs: async () => disk } as unknown as Host,
    imageGarbage: {
      collect: async ({ available_bytes }: typeof disk) => (available_bytes === gib ? 512 : undefined),
      shortfall: (...given: [typeof disk, number]) =>
        new ImageGarbage({} as ContainerRuntime, silentLog).shortfall(...given),
    } as unknown as ImageGarbage,
  });
  for (let round = 0; round < 3; round++) await look();
  const both = [`Warning FreeDiskSpaceFailed: ${shortMessage}`, `Warning ImageGCFailed: ${shortMessage}`];
  expect(told).toEqual(both);
  disk.available_bytes = 5 * gib;
  await look();
  disk.available_bytes = gib;
  await look();
  expect(told).toEqual([...both, `Warning FreeDiskSpaceFailed: ${shortMessage}`]);
});

test("images that cannot be listed are told of at the second look, and keep nothing else from being done", async () => {
  let looks = 0;
  const { log, lines } = notedLog();
  const { look, told } = imageRelief({
    log,
    imageGarbage: { collect: () => Promise.reject(new Error("the runtime is away")) } as unknown as ImageGarbage,
    collectGarbage: async () => undefined,
    workers: () => {
      looks += 1;
      return [];
    },
  });
  await look();
  expect(told).toEqual([]);
  await look();
  await look();
  expect(told).toEqual(["Warning ImageGCFailed: the runtime is away"]);
  expect(looks).toBe(3);
  expect(lines).toEqual(["warn images could not be collected"]);
});

test("a disk that says it has no room at all is told", async () => {
  const { look, told } = imageRelief({
    host: { statfs: async () => ({ capacity_bytes: 0, available_bytes: 0 }) } as unknown as Host,
  });
  await look();
  expect(told).toEqual(["Warning InvalidDiskCapacity: invalid capacity 0 on image filesystem"]);
});

test("what the kernel killed for the board's sake is told; a log that cannot be read is tried once", async () => {
  const { look, told } = imageRelief({
    imageFolder: () => undefined,
    systemOom: { look: async () => [{ process: "web", pid: 7 }] },
  });
  await look();
  expect(told).toEqual(["Warning SystemOOM: System OOM encountered, victim process: web, pid: 7"]);
  let looks = 0;
  const deaf = imageRelief({
    imageFolder: () => undefined,
    systemOom: {
      look: () => {
        looks += 1;
        return Promise.reject(new Error("not permitted"));
      },
    },
  });
  await deaf.look();
  await deaf.look();
  expect([looks, deaf.told]).toEqual([1, []]);
});
