import { expect, test } from "bun:test";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { growthTrouble } from "../csi/csi-requests.ts";
import { type GrowthTrouble, planGrowth, VolumeGrowth } from "./volume-growth.ts";

type Status = NonNullable<PersistentVolumeClaim["status"]>;

const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "web", uid: "u" } } as unknown as Pod;
const volume = {
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: "pv" },
  spec: { capacity: { storage: "2Gi" }, claimRef: { namespace: "default", name: "data" } },
} as unknown as PersistentVolume;

const claimWith = (status: Status, requested = "2Gi"): PersistentVolumeClaim =>
  ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "data", namespace: "default", resourceVersion: "7" },
    spec: { resources: { requests: { storage: requested } } },
    status: { phase: "Bound", capacity: { storage: "1Gi" }, ...status },
  }) as unknown as PersistentVolumeClaim;

/** A growth that keeps what it tells and what it writes into the claim, which stays as it was. */
function growing(claim: PersistentVolumeClaim) {
  const told: string[] = [];
  const written: object[] = [];
  const client = {
    isAway: false,
    get: async () => claim,
    patch: async (_: unknown, __: unknown, { body }: { body: { metadata: object; status: object } }) => {
      expect(body.metadata).toEqual({ resourceVersion: "7" });
      written.push(body.status);
      return claim;
    },
  } as unknown as Client;
  const record = ({ kind }: { kind?: string | undefined }, event: { reason: string; message: string }): void =>
    void told.push(`${kind} ${event.reason}: ${event.message}`);
  return { growth: new VolumeGrowth({ client, events: { record }, nodeName: "a", log: silentLog }), told, written };
}

const failing = (trouble: GrowthTrouble) => ({
  expand: () => Promise.reject(new Error("no")),
  judge: () => trouble,
});

test("a volume grows once it is larger than its claim knows, and where its maker says so when it is the board's turn", () => {
  const plan = (status: Status) => planGrowth(volume, claimWith(status));
  expect(plan({})).toEqual({ size: "2Gi", isAccounted: false });
  expect(plan({ capacity: { storage: "2Gi" } })).toBeUndefined();
  expect(plan({ phase: "Lost" })).toBeUndefined();
  const allocatedResources = { storage: "1536Mi" };
  for (const step of ["NodeResizePending", "NodeResizeInProgress"])
    expect(plan({ allocatedResources, allocatedResourceStatuses: { storage: step } })).toEqual({
      size: "1536Mi",
      isAccounted: true,
    });
  for (const step of ["ControllerResizeInProgress", "NodeResizeInfeasible"])
    expect(plan({ allocatedResources, allocatedResourceStatuses: { storage: step } })).toBeUndefined();
  expect(plan({ allocatedResources })).toBeUndefined();
});

test("what has grown is told to pod and claim, and what was pending is taken off the claim", async () => {
  const other = { type: "ModifyingVolume", status: "True" };
  const conditions = [{ type: "FileSystemResizePending", status: "True" }, other];
  const { growth, told, written } = growing(
    claimWith({
      conditions,
      allocatedResources: { storage: "2Gi" },
      allocatedResourceStatuses: { storage: "NodeResizePending" },
    }),
  );
  const asked: unknown[] = [];
  await growth.grow(volume, pod, { expand: async (size) => void asked.push(size), judge: () => "failed" });
  expect(asked).toEqual(["2Gi"]);
  const message = 'MountVolume.NodeExpandVolume succeeded for volume "pv" a';
  expect(told).toEqual([
    `Pod FileSystemResizeSuccessful: ${message}`,
    `PersistentVolumeClaim FileSystemResizeSuccessful: ${message}`,
  ]);
  expect(written).toEqual([
    { allocatedResourceStatuses: { storage: "NodeResizeInProgress" } },
    { capacity: { storage: "2Gi" }, conditions: [other], allocatedResourceStatuses: { storage: null } },
  ]);
});

test("a failure is told to the pod, and stands in a claim that is accounted for", async () => {
  const accounted: Status = {
    allocatedResources: { storage: "2Gi" },
    allocatedResourceStatuses: { storage: "NodeResizePending" },
  };
  const event = 'Pod VolumeResizeFailed: NodeExpandVolume.NodeExpandVolume failed for volume "pv" : no';
  const conditions = [
    expect.objectContaining({ type: "NodeResizeError", status: "True", message: "failed to expand pvc with no" }),
  ];
  const infeasible = { conditions, allocatedResourceStatuses: { storage: "NodeResizeInfeasible" } };
  const plain = growing(claimWith({}));
  await plain.growth.grow(volume, pod, failing("failed"));
  expect(plain).toMatchObject({ told: [event], written: [] });
  const { growth, told, written } = growing(claimWith(accounted));
  await growth.grow(volume, pod, failing("uncertain"));
  expect([told.length, written.length]).toEqual([1, 1]);
  await growth.grow(volume, pod, failing("failed"));
  expect(written.at(-1)).toEqual({ conditions });
  await growth.grow(volume, pod, failing("infeasible"));
  expect(written.at(-1)).toEqual(infeasible);

  // Who asked for it asks for something else by now: no use in trying for ever.
  const stale = growing(claimWith(accounted, "3Gi"));
  await stale.growth.grow(volume, pod, failing("failed"));
  expect(stale.written.at(-1)).toEqual({ conditions });
  await stale.growth.grow(volume, pod, failing("failed"));
  expect(stale.written.at(-1)).toEqual(infeasible);
});

test("a volume that cannot grow in use is left until the pod has it anew", async () => {
  const { growth, told } = growing(claimWith({}));
  let tries = 0;
  const inUse = {
    expand: () => {
      tries += 1;
      return Promise.reject(new Error("in use"));
    },
    judge: () => "inUse" as const,
  };
  await growth.grow(volume, pod, inUse);
  await growth.grow(volume, pod, inUse);
  expect([tries, told]).toEqual([1, []]);
  growth.forget("u");
  await growth.grow(volume, pod, inUse);
  expect(tries).toBe(2);
});

test("what a driver's code means", () => {
  const judged = (code: number): GrowthTrouble =>
    growthTrouble(new Error("x", { cause: new GrpcError(code, "x", true) }));
  expect(growthTrouble(new Error("the driver is not there"))).toBe("uncertain");
  expect(judged(GrpcCode.DeadlineExceeded)).toBe("uncertain");
  expect(judged(GrpcCode.FailedPrecondition)).toBe("inUse");
  expect(judged(GrpcCode.OutOfRange)).toBe("infeasible");
  expect(judged(GrpcCode.Internal)).toBe("failed");
});

test("a claim whose volume is to grow and is mounted read only is told, and its pod", async () => {
  const { growth, told } = growing(claimWith({}));
  await growth.tellReadOnly(volume, pod);
  const message = 'MountVolume.NodeExpandVolume failed for volume "pv" requested read-only file system';
  expect(told).toEqual([
    `Pod FileSystemResizeFailed: ${message}`,
    `PersistentVolumeClaim FileSystemResizeFailed: ${message}`,
  ]);
  const grown = growing(claimWith({ capacity: { storage: "2Gi" } }));
  await grown.growth.tellReadOnly(volume, pod);
  expect(grown.told).toEqual([]);
});
