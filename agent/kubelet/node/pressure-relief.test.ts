import { expect, test } from "bun:test";
import type { Host } from "#agent/host/host.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EventToRecord } from "#shared/client/event-recorder.ts";
import type { ImageGarbage } from "../images/image-gc.ts";
import type { PodFailure, PodWorker } from "../pod-worker.ts";
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

/** What is done to the pod when the board feels `pressures` and its cache holds `cache_bytes`. */
async function relieved(memory: boolean, cache_bytes: number, told: EventToRecord[] = []): Promise<PodFailure[]> {
  const failures: PodFailure[] = [];
  const fail = (failure: PodFailure): unknown => failures.push(failure);
  const worker = { uid: "u", pod, active: true, evicting: false, fail } as unknown as PodWorker;
  const options: Partial<PressureReliefOptions> = {
    imageFolder: () => undefined,
    workers: () => [worker],
    tell: (event) => told.push(event),
    podStats: () => Promise.resolve([{ pod, containers: [] }]),
    storageUsage: () => Promise.resolve({ containers: new Map(), emptyDirs: new Map([["cache", cache_bytes]]) }),
    log: { warn: () => undefined } as unknown as PressureReliefOptions["log"],
  };
  await new PressureRelief(options as PressureReliefOptions).relieve({ memory, disk: false, pids: false });
  return failures;
}

test("a pod that goes for the board's sake is the target of a disruption", async () => {
  const told: EventToRecord[] = [];
  expect(await relieved(true, 0, told)).toMatchObject([{ reason: "Evicted", disrupts: true }]);
  expect(told).toEqual([{ type: "Warning", reason: "EvictionThresholdMet", message: "Attempting to reclaim memory" }]);
});

test("a pod that goes for its own limit is not", async () => {
  const message = 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ';
  expect(await relieved(false, 2 ** 21)).toEqual([{ reason: "Evicted", message, grace_s: 1 }]);
});

test("a disk that stays full although all images that can go are gone is told", async () => {
  const gib = 2 ** 30;
  const told: EventToRecord[] = [];
  const options: Partial<PressureReliefOptions> = {
    imageFolder: () => "/images",
    host: { statfs: async () => ({ capacity_bytes: 10 * gib, available_bytes: gib }) } as unknown as Host,
    imageGarbage: { collect: async () => 512 } as unknown as ImageGarbage,
    workers: () => [],
    tell: (event) => told.push(event),
  };
  const relief = new PressureRelief(options as PressureReliefOptions);
  const none = { memory: false, disk: false, pids: false };
  await relief.relieve(none);
  await relief.relieve(none);
  expect(told).toEqual([
    {
      type: "Warning",
      reason: "FreeDiskSpaceFailed",
      message:
        "Insufficient free disk space on the node's image filesystem (90% of 10.0 GiB used). Failed to free sufficient space by deleting unused images (freed 512 bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data.",
    },
  ]);
});
