import { expect, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import type { ContainerGarbage } from "./container-garbage.ts";
import { ImageGarbage } from "./images/image-gc.ts";
import type { KubeletParts } from "./pod-context.ts";
import type { PodWorkers } from "./pod-workers.ts";
import { sweep } from "./sweep.ts";

test("dead containers that cannot be removed are told of at the Node, and pods are looked at all the same", async () => {
  const told: unknown[] = [];
  let prompted = 0;
  const parts = {
    runtime: { listContainers: async () => [], listSandboxes: async () => [], listImages: async () => [] },
    log: { warn: () => undefined, info: () => undefined },
    volumes: { leftBehind: async () => [], sweep: async () => undefined },
    images: { retain: async () => undefined },
    logs: { sweep: async () => undefined },
    recorder: { record: (about: unknown, event: unknown) => told.push(about, event) },
  } as unknown as KubeletParts;
  const workers = {
    get: () => undefined,
    all: () => [{ uid: "u", prompt: () => (prompted += 1) }],
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
  expect(prompted).toBe(1);
});
