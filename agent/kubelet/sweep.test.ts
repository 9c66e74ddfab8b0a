import { expect, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import type { ContainerGarbage } from "./container-garbage.ts";
import { ImageGarbage } from "./images/image-gc.ts";
import type { KubeletParts } from "./pod-context.ts";
import type { PodWorkers } from "./pod-workers.ts";
import { sweep } from "./sweep.ts";

test("what cannot be looked through keeps nothing else from it; dead containers that stay are told of at the Node", async () => {
  const told: unknown[] = [];
  const warned: string[] = [];
  const broken = (): Promise<never> => Promise.reject(new Error("broken"));
  let prompted = 0;
  const parts = {
    runtime: { listContainers: async () => [], listSandboxes: async () => [], listImages: async () => [] },
    log: { warn: (message: string) => warned.push(message), info: () => undefined },
    volumes: { leftBehind: async () => ["gone"], unmount: broken, sweep: broken },
    cgroups: { sweep: broken },
    devices: {
      retain: () => {
        throw new Error("broken");
      },
    },
    claims: { loadedClaims: { retain: broken } },
    objects: { retainKept: broken },
    images: { retain: broken },
    logs: { sweep: broken },
    recorder: { record: (about: unknown, event: unknown) => told.push(about, event) },
  } as unknown as KubeletParts;
  const workers = {
    get: () => undefined,
    all: () => [{ uid: "u" }],
    promptAll: () => (prompted += 1),
  } as unknown as PodWorkers;
  const collect = (): Promise<number> => Promise.reject(new Error("the runtime is away"));
  const containerGarbage = { collect } as unknown as ContainerGarbage;
  await sweep({
    parts,
    workers,
    containerGarbage,
    imageGarbage: new ImageGarbage(parts.runtime, silentLog),
    board: "a",
  });
  expect(told).toEqual([
    { apiVersion: "v1", kind: "Node", name: "a", uid: "a" },
    { type: "Warning", reason: "ContainerGCFailed", message: "the runtime is away" },
  ]);
  expect(warned).toEqual([
    "what pod gone has left could not be looked through",
    ...["volumes", "cgroups", "devices", "resource claims", "checkpoints", "logs"].map(
      (what) => `${what} could not be looked through`,
    ),
    "dead containers could not be removed",
    "images could not be looked through",
  ]);
  expect(prompted).toBe(1);
});
