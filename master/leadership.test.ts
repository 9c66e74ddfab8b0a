import { expect, test } from "bun:test";
import { notFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { type CheckedPart, onceInCluster } from "./leadership.ts";

/** An API server in which nobody else stands for the lease. */
const client = {
  get: async () => {
    throw notFound({ group: "coordination.k8s.io", plural: "leases" }, "x");
  },
  create: async (_: unknown, lease: KubeObject) => lease,
  update: async (_: unknown, lease: KubeObject) => lease,
} as unknown as Client;

test("who is told to end while it starts to lead gives up the start", async () => {
  const begun = Promise.withResolvers<void>();
  const part = onceInCluster({ client, lease: "x", log: silentLog }, (signal) => {
    begun.resolve();
    const { promise, reject } = Promise.withResolvers<CheckedPart>();
    signal.addEventListener("abort", () => reject(new Error("given up")));
    return promise;
  });
  await begun.promise;
  await part.stop();
  await expect(part.check()).rejects.toThrow("given up");
});
