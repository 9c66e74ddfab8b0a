import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { attachmentName } from "#shared/api/csi-names.ts";
import { csiDrivers, volumeAttachments } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import { until } from "#shared/testing/until.ts";
import { startTestServer, type TestServer } from "../../../test/support/apiserver.ts";
import { VolumePending } from "../volumes/volume-error.ts";
import { AllocatableUpdates } from "./allocatable-updates.ts";
import { CsiAttachments } from "./csi-attachments.ts";

setDefaultTimeout(300_000);
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

const name = "limits.test";
const driver = (nodeAllocatableUpdatePeriodSeconds?: number) =>
  ({
    apiVersion: "storage.k8s.io/v1",
    kind: "CSIDriver",
    metadata: { name },
    spec: { ...(nodeAllocatableUpdatePeriodSeconds ? { nodeAllocatableUpdatePeriodSeconds } : {}) },
  }) as const;

test("a driver is asked as often as its CSIDriver says, while it is here", async () => {
  const clock = new ManualClock();
  const { log, lines } = notedLog();
  const asked: string[] = [];
  let isHere = false;
  const updates = new AllocatableUpdates({
    client: server.client,
    log,
    clock,
    serves: () => isHere,
    update: async (each) => {
      asked.push(each);
      if (asked.length < 3) throw new Error("it does not answer");
    },
  });
  updates.start();
  await server.client.create(csiDrivers, driver(60));
  await until("the CSIDriver is known", () => updates.period_s(name) === 60);
  await clock.advance(600_000);
  expect(asked).toEqual([]);
  isHere = true;
  updates.settle(name);
  await clock.advance(59_000);
  expect(asked).toEqual([]);
  await clock.advance(121_000);
  expect(asked).toEqual([name, name, name]);
  expect(lines).toEqual(["warn how many volumes a CSI driver can attach is not known"]);

  const merge = (period: number | null) =>
    server.client.patch(
      csiDrivers,
      { name },
      { type: "merge", body: { spec: { nodeAllocatableUpdatePeriodSeconds: period } } },
    );
  await merge(10);
  await until("its period has changed", () => updates.period_s(name) === 10);
  await clock.advance(10_000);
  expect(asked).toHaveLength(4);
  await merge(null);
  await until("it has none any more", () => updates.period_s(name) === undefined);
  await clock.advance(600_000);
  expect(asked).toHaveLength(4);
  await updates.stop();
});

test("a volume that cannot be attached because the board has enough is told apart, and the cluster is told how many it can have", async () => {
  const updated: string[] = [];
  let period_s: number | undefined = 60;
  const handle = { driver: name, volumeHandle: "h" };
  const attachmentID = attachmentName(handle, "board");
  const attachments = new CsiAttachments({
    client: server.client,
    node: () => ({ status: { volumesInUse: [`kubernetes.io/csi/${name}^h`] } }) as Node,
    drivers: {
      allocatable: {
        period_s: () => period_s,
        update: async (each: string) => void updated.push(each),
      } as unknown as AllocatableUpdates,
    },
    onInUse: () => undefined,
  });
  const isLimit = async (): Promise<boolean> => {
    const record = {
      specVolID: "pv",
      volumeHandle: "h",
      driverName: name,
      nodeName: "board",
      attachmentID,
      volumeLifecycleMode: "Persistent",
      podUid: "u",
      block: false,
    } as const;
    try {
      await attachments.attached(record);
    } catch (error) {
      if (error instanceof VolumePending) return error.isLimit();
      throw error;
    }
    throw new Error("it is attached");
  };
  expect(await isLimit()).toBe(false);
  await server.client.create(volumeAttachments, {
    apiVersion: "storage.k8s.io/v1",
    kind: "VolumeAttachment",
    metadata: { name: attachmentID },
    spec: { attacher: name, nodeName: "board", source: { persistentVolumeName: "pv" } },
  });
  expect(await isLimit()).toBe(false);
  const refuse = (errorCode: number) =>
    server.client.patch(
      volumeAttachments,
      { name: attachmentID },
      { type: "merge", body: { status: { attached: false, attachError: { message: "no", errorCode } } } },
      { subresource: "status" },
    );
  await refuse(13);
  expect(await isLimit()).toBe(false);
  await refuse(8);
  expect(await isLimit()).toBe(true);
  expect(updated).toEqual([name]);
  period_s = undefined;
  expect(await isLimit()).toBe(false);
});
