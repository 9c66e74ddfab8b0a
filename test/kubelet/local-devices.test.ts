/** Local volumes of block devices, with a kubelet, a dockerd and an API server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { linuxHost } from "#agent/host/linux-host.ts";
import { persistentVolumeClaims, persistentVolumes, pods } from "#shared/api/resources.ts";
import type { PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { canUseLoopDevices, LoopDevice } from "../support/loop-device.ts";
import { isReady, KubeletBoard, nodeName, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

describe.skipIf(!canRunDockerd() || !canUseLoopDevices())("local volumes of block devices", () => {
  let board: KubeletBoard;
  let disk: LoopDevice;
  beforeAll(async () => {
    board = await KubeletBoard.start();
    disk = LoopDevice.attach(join(board.dockerd.directory, "disk"), 64 * 1024 ** 2);
    const metadata = { name: "data", namespace: "default" };
    const claim = await board.api.create(persistentVolumeClaims, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata,
      spec: {
        accessModes: ["ReadWriteOnce"],
        resources: { requests: { storage: "64Mi" } },
        volumeName: "disk",
        storageClassName: "",
      },
    } as PersistentVolumeClaim);
    await board.api.create(persistentVolumes, {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "disk" },
      spec: {
        capacity: { storage: "64Mi" },
        accessModes: ["ReadWriteOnce"],
        persistentVolumeReclaimPolicy: "Retain",
        claimRef: { ...metadata, uid: claim.metadata.uid },
        local: { path: disk.path },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [nodeName] }] },
            ],
          },
        },
      },
    });
    const status = { phase: "Bound", capacity: { storage: "64Mi" }, accessModes: ["ReadWriteOnce"] };
    const patch = { type: "merge", body: { status } } as const;
    await board.api.patch(persistentVolumeClaims, metadata, patch, { subresource: "status" });
  }, 300_000);
  afterAll(async () => {
    await board?.stop();
    disk?.detach();
  }, 300_000);

  const globalMount = (): string => join(board.pluginDir, "plugins/kubernetes.io/local-volume/mounts/disk");
  const writing = (name: string): Pod =>
    pod(name, {
      restartPolicy: "Always",
      containers: [
        shell("main", `echo ${name} >>/data/seen; sync; ${wait}`, {
          volumeMounts: [{ name: "data", mountPath: "/data" }],
        }),
      ],
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
    });
  /** What pods have written, once it is so many lines. */
  async function seen(lines: number): Promise<string[]> {
    for (;;) {
      const file = join(globalMount(), "seen");
      const text = linuxHost().isMountPoint(globalMount())
        ? await Bun.file(file)
            .text()
            .catch(() => "")
        : "";
      const written = text.split("\n").slice(0, -1);
      if (written.length >= lines) return written;
      await Bun.sleep(100);
    }
  }

  test("a new device gets a file system; pods of a board that boots without its master have it again", async () => {
    await board.api.create(pods, writing("first"));
    await board.untilPod("first", isReady);
    expect(await seen(1)).toEqual(["first"]);
    expect(
      linuxHost()
        .mounts()
        .find(({ path }) => path === globalMount()),
    ).toMatchObject({
      type: "ext4",
      source: disk.path,
    });
    await board.restartKubelet();
    await board.losePower();
    expect(linuxHost().isMountPoint(globalMount())).toBe(false);
    board.client.severed = true;
    try {
      await board.startKubelet();
      expect(await seen(2)).toEqual(["first", "first"]);
    } finally {
      board.client.severed = false;
    }
    await board.api.create(pods, writing("second"));
    await board.untilPod("second", isReady);
    expect(await seen(3)).toEqual(["first", "first", "second"]);
    await board.remove("first");
    expect(linuxHost().isMountPoint(globalMount())).toBe(true);
    await board.remove("second");
    expect(
      linuxHost()
        .mounts()
        .filter(({ source }) => source === disk.path),
    ).toEqual([]);
  }, 400_000);
});
