import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  csiDrivers,
  customResourceDefinitions,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
  volumeAttachments,
} from "#shared/api/resources.ts";
import type { PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import { stderrLog } from "#shared/client/log.ts";
import { StartSteps } from "../../master/apiserver/discovery/start-steps.ts";
import { startControllerManager, startScheduler, startServerControllers } from "../../master/control-loops.ts";
import { KubeletBoard, phaseIs, pod, wait } from "../kubelet/kubelet-board.ts";
import { shell } from "../kubelet/shell-container.ts";
import { attachedTo, CsiTestController } from "../support/csi-controller.ts";
import { CsiTestDriver, testNodeId } from "../support/csi-driver.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { CsiPrograms, canRunCsiPrograms, crdFolder } from "./csi-programs.ts";

const name = "side.example.test";
const snapshotRef = (kind: string, plural: string, namespaced: boolean): ResourceRef<KubeObject> => ({
  group: "snapshot.storage.k8s.io",
  version: "v1",
  kind,
  plural,
  namespaced,
});

interface Stoppable {
  stop(): Promise<void> | void;
}

describe.skipIf(!canRunDockerd() || !canRunCsiPrograms())("a CSI driver with Kubernetes' own side programs", () => {
  let board: KubeletBoard;
  let driver: CsiTestDriver;
  let controller: CsiTestController;
  let data: string;
  const programs = new CsiPrograms();
  const running: Stoppable[] = [];

  beforeAll(async () => {
    board = await KubeletBoard.start(undefined, { customResources: true });
    data = join(board.dockerd.directory, "volumes");
    mkdirSync(data);
    const { admin, pki } = board.server;
    const log = stderrLog((process.env["TEST_LOG"] as "debug" | undefined) ?? "error");
    running.push(
      startServerControllers(admin, log, new StartSteps()),
      startScheduler(admin, log),
      await startControllerManager({
        // No broker hears of this board: it counts as alive.
        settings: {
          nodeMonitorGracePeriod: 86_400,
          clusterCidr: "10.42.0.0/16",
          strainedBoardTaint: "none",
          disable: ["servicelb", "ingress", "local-storage", "helm-controller"],
          helmJobImage: "",
          defaultLocalStoragePath: "/nowhere",
          httpsPort: 6443,
          mqttPort: 8883,
          kubeletPort: 10_250,
          ingressHttpPort: 80,
          ingressHttpsPort: 443,
        },
        ca: () => pki.authorities.ca,
        rootCa: () => pki.authorities.ca.certificatePem,
        client: admin,
        clientFor: () => admin,
        log,
      }),
    );
    for (const file of readdirSync(crdFolder))
      await admin.create(customResourceDefinitions, parse(readFileSync(join(crdFolder, file), "utf8")));
    controller = new CsiTestController(name, data, testNodeId, { "side.test/shelf": "1" });
    driver = new CsiTestDriver({ name, root: board.pluginDir, data, topology: { "side.test/shelf": "1" }, controller });
    await admin.create(csiDrivers, {
      apiVersion: "storage.k8s.io/v1",
      kind: "CSIDriver",
      metadata: { name },
      spec: { attachRequired: true, podInfoOnMount: true, fsGroupPolicy: "File" },
    });
    await admin.create(storageClasses, {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "side" },
      provisioner: name,
      allowVolumeExpansion: true,
      reclaimPolicy: "Delete",
      volumeBindingMode: "WaitForFirstConsumer",
    });
    await driver.start();
    await programs.start(board.server, driver.endpoint);
  }, 300_000);

  afterAll(async () => {
    await programs.stop();
    for (const part of running) await part.stop();
    await board?.stop();
    await driver?.stop();
  }, 300_000);

  const claim = (metadataName: string, more: Partial<PersistentVolumeClaim["spec"]> = {}): PersistentVolumeClaim => ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: metadataName, namespace: "default" },
    spec: {
      storageClassName: "side",
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "1Gi" } },
      ...more,
    },
  });

  /** For the scheduler to place. */
  function unplaced(podName: string, script: string, volume: object, more: Partial<Pod["spec"]> = {}): Pod {
    const { spec, ...rest } = pod(podName, {
      containers: [shell("main", script, { volumeMounts: [{ name: "data", mountPath: "/data" }] })],
      volumes: [{ name: "data", ...volume }],
      ...more,
    });
    const { nodeName: _, ...free } = spec;
    return { ...rest, spec: free } as Pod;
  }

  async function told<T>(what: Promise<T>): Promise<T> {
    try {
      return await what;
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await programs.logs()}`, { cause: error });
    }
  }

  async function gone<T>(ref: ResourceRef<T>, key: { namespace?: string; name: string }): Promise<void> {
    const deadline_ms = performance.now() + 240_000;
    while (performance.now() < deadline_ms) {
      try {
        await board.api.get(ref, key);
      } catch (error) {
        if (isNotFound(error)) return;
        throw error;
      }
      await Bun.sleep(100);
    }
    throw new Error(`${ref.plural} ${key.name} did not go\n${await programs.logs()}`);
  }

  const volumeOf = async (claimName: string): Promise<string> =>
    (await board.api.get(persistentVolumeClaims, { namespace: "default", name: claimName })).spec.volumeName ?? "";

  test("a claim is provisioned where its pod goes, attached, written to, grown, copied by a snapshot, and deleted", async () => {
    await board.api.create(persistentVolumeClaims, claim("first"));
    const script = `echo written >/data/file; stat -c %g /data/file; ${wait}`;
    const spec = { securityContext: { fsGroup: 4321 } };
    const volume = { persistentVolumeClaim: { claimName: "first" } };
    await board.api.create(pods, unplaced("writer", script, volume, spec));
    await told(board.untilPod("writer", phaseIs("Running")));
    const volumeName = await volumeOf("first");
    const { spec: made } = await board.api.get(persistentVolumes, { name: volumeName });
    const handle = made.csi?.volumeHandle ?? "";
    expect(made.nodeAffinity?.required?.nodeSelectorTerms[0]?.matchExpressions).toEqual([
      { key: "side.test/shelf", operator: "In", values: ["1"] },
    ]);
    expect(controller.attached.get(handle)).toBe(testNodeId);
    expect(driver.staged.at(-1)?.publishContext).toEqual({ [attachedTo]: testNodeId });
    expect(driver.published.at(-1)?.volumeContext).toMatchObject({
      made: "yes",
      "csi.storage.k8s.io/pod.name": "writer",
    });
    const file = join(data, handle, "file");
    while (!existsSync(file)) await Bun.sleep(50);
    while ((await board.logsOf("writer", "main")) === "") await Bun.sleep(50);
    expect(await board.logsOf("writer", "main")).toBe("4321\n");

    await board.api.patch(
      persistentVolumeClaims,
      { namespace: "default", name: "first" },
      { type: "merge", body: { spec: { resources: { requests: { storage: "2Gi" } } } } },
    );
    await told(board.until(persistentVolumeClaims, "first", ({ status }) => status?.capacity?.["storage"] === "2Gi"));
    expect(driver.expanded.at(-1)).toMatchObject({ volumeId: handle, capacityRange: { requiredBytes: 2 * 1024 ** 3 } });
    expect(controller.volumes.get(handle)?.capacity_bytes).toBe(2 * 1024 ** 3);

    const snapshots = snapshotRef("VolumeSnapshot", "volumesnapshots", true);
    await board.api.create(snapshotRef("VolumeSnapshotClass", "volumesnapshotclasses", false), {
      apiVersion: "snapshot.storage.k8s.io/v1",
      kind: "VolumeSnapshotClass",
      metadata: { name: "side" },
      driver: name,
      deletionPolicy: "Delete",
    } as KubeObject);
    await board.api.create(snapshots, {
      apiVersion: "snapshot.storage.k8s.io/v1",
      kind: "VolumeSnapshot",
      metadata: { name: "kept", namespace: "default" },
      spec: { volumeSnapshotClassName: "side", source: { persistentVolumeClaimName: "first" } },
    } as KubeObject);
    await told(
      board.until(
        snapshots,
        "kept",
        (object) => (object as { status?: { readyToUse?: boolean } }).status?.readyToUse === true,
      ),
    );
    const dataSource = { apiGroup: "snapshot.storage.k8s.io", kind: "VolumeSnapshot", name: "kept" };
    const size = { resources: { requests: { storage: "2Gi" } } };
    await board.api.create(persistentVolumeClaims, claim("copy", { dataSource, ...size }));
    await board.api.create(
      pods,
      unplaced("reader", "cat /data/file", { persistentVolumeClaim: { claimName: "copy" } }),
    );
    await told(board.untilPod("reader", phaseIs("Succeeded")));
    expect(await board.logsOf("reader", "main")).toBe("written\n");

    const copyName = await volumeOf("copy");
    for (const podName of ["writer", "reader"]) await board.remove(podName);
    for (const each of ["first", "copy"])
      await board.api.delete(persistentVolumeClaims, { namespace: "default", name: each });
    for (const each of [volumeName, copyName]) await gone(persistentVolumes, { name: each });
    expect([...controller.volumes.keys()]).toEqual([]);
    expect([...controller.attached.keys()]).toEqual([]);
    expect((await board.api.list(volumeAttachments, {})).items).toEqual([]);
    await board.api.delete(snapshots, { namespace: "default", name: "kept" });
    await gone(snapshots, { namespace: "default", name: "kept" });
    expect([...controller.snapshots.keys()]).toEqual([]);
  }, 600_000);

  test("a volume of a pod's own is made for it, and goes with it", async () => {
    const { spec } = claim("template");
    const ephemeral = { ephemeral: { volumeClaimTemplate: { spec } } };
    await board.api.create(pods, unplaced("owner", "touch /data/x && echo done", ephemeral));
    await told(board.untilPod("owner", phaseIs("Succeeded")));
    expect(await board.logsOf("owner", "main")).toBe("done\n");
    const volumeName = await volumeOf("owner-data");
    await board.remove("owner");
    await gone(persistentVolumeClaims, { namespace: "default", name: "owner-data" });
    await gone(persistentVolumes, { name: volumeName });
    expect([...controller.volumes.keys()]).toEqual([]);
  }, 300_000);
});
