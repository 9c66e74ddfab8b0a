import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { linuxHost } from "#agent/host/linux-host.ts";
import { nodeCapabilities, usageUnits } from "#agent/kubelet/csi/csi-messages.ts";
import { servedBoard } from "#agent/kubelet/server/served-board.ts";
import { attachmentName } from "#shared/api/csi-names.ts";
import {
  csiDrivers,
  csiNodes,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  secrets,
  volumeAttachments,
} from "#shared/api/resources.ts";
import type { PersistentVolumeClaim, PersistentVolumeSpec, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { CSIDriverSpec } from "#shared/api/types/storage-v1.generated.ts";
import { type RunningController, runController } from "#shared/client/controller.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { attachDetachController } from "../../master/controllers/persistent-volume/attach-detach.ts";
import { CsiTestDriver } from "../support/csi-driver.ts";
import { TestDevicePlugin } from "../support/device-plugin.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { isReady, KubeletBoard, nodeName, phaseIs, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

describe.skipIf(!canRunDockerd())("volumes by CSI drivers", () => {
  let board: KubeletBoard;
  let data: string;
  let informers: InformerFactory;
  let attaching: RunningController;
  const drivers: CsiTestDriver[] = [];

  beforeAll(async () => {
    board = await KubeletBoard.start();
    data = join(board.dockerd.directory, "volumes");
    mkdirSync(data);
    informers = new InformerFactory(board.api);
    informers.start();
    attaching = await runController(attachDetachController(), {
      client: board.api,
      informers,
      events: { record: () => undefined },
    });
  }, 300_000);

  afterAll(async () => {
    await attaching?.stop();
    await informers?.stop();
    await board?.stop();
    for (const driver of drivers) await driver.stop();
  }, 300_000);

  async function startDriver(
    name: string,
    spec: CSIDriverSpec,
    more: Partial<CsiTestDriver["options"]> = {},
  ): Promise<CsiTestDriver> {
    await board.api.create(csiDrivers, {
      apiVersion: "storage.k8s.io/v1",
      kind: "CSIDriver",
      metadata: { name },
      spec,
    });
    const driver = new CsiTestDriver({ name, root: board.pluginDir, data, ...more });
    drivers.push(driver);
    await driver.start();
    await board.until(csiNodes, nodeName, (node) => node.spec.drivers.some((each) => each.name === name));
    return driver;
  }

  async function boundClaim(name: string, driver: string, more: Partial<PersistentVolumeSpec> = {}): Promise<void> {
    const created = await board.api.create(persistentVolumeClaims, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name, namespace: "default", annotations: { "pv.kubernetes.io/bind-completed": "yes" } },
      spec: {
        accessModes: ["ReadWriteOnce"],
        resources: { requests: { storage: "1Gi" } },
        volumeName: `pv-${name}`,
        storageClassName: "",
        ...(more.volumeMode ? { volumeMode: more.volumeMode } : {}),
      },
    } as PersistentVolumeClaim);
    const { uid } = created.metadata;
    await board.api.create(persistentVolumes, {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: `pv-${name}` },
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteOnce"],
        persistentVolumeReclaimPolicy: "Retain",
        claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace: "default", name, uid },
        mountOptions: ["noatime"],
        csi: { driver, volumeHandle: `handle-${name}`, fsType: "ext4", volumeAttributes: { shape: "round" } },
        ...more,
      },
    });
    const status = { phase: "Bound", capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] };
    await board.api.patch(
      persistentVolumeClaims,
      { namespace: "default", name },
      { type: "merge", body: { status } },
      { subresource: "status" },
    );
  }

  const claimed = (claimName: string) => [{ name: "data", persistentVolumeClaim: { claimName } }];
  const mountedAt = { volumeMounts: [{ name: "data", mountPath: "/data" }] };
  const running = (name: string, claim: string, more: Partial<Pod["spec"]> = {}): Pod =>
    pod(name, {
      restartPolicy: "Always",
      containers: [shell("main", `echo $HOSTNAME >>/data/seen; ${wait}`, mountedAt)],
      volumes: claimed(claim),
      ...more,
    });

  test("a driver is in CSINode and its topology on the Node; when it goes, it is taken off", async () => {
    const driver = await startDriver(
      "topo.test",
      { attachRequired: false },
      { topology: { "topology.test/shelf": "3" } },
    );
    const { spec, metadata } = await board.api.get(csiNodes, { name: nodeName });
    expect(metadata.ownerReferences).toMatchObject([{ kind: "Node", name: nodeName }]);
    expect(spec.drivers).toEqual([
      { name: "topo.test", nodeID: "node-of-test", topologyKeys: ["topology.test/shelf"], allocatable: { count: 7 } },
    ]);
    const node = await board.api.get(nodes, { name: nodeName });
    expect(node.metadata.labels?.["topology.test/shelf"]).toBe("3");
    expect(node.metadata.annotations?.["csi.volume.kubernetes.io/nodeid"]).toBe('{"topo.test":"node-of-test"}');
    while (driver.verdicts.length === 0) await Bun.sleep(20);
    expect(driver.verdicts).toEqual([{ registered: true, error: "" }]);
    await driver.stop();
    await board.until(csiNodes, nodeName, (csiNode) => csiNode.spec.drivers.length === 0);
  }, 300_000);

  test("a volume is staged once, published to each pod, and taken off after the last", async () => {
    const driver = await startDriver("plain.test", { attachRequired: false, podInfoOnMount: true });
    await boundClaim("plain", "plain.test");
    await board.api.create(pods, running("first", "plain"));
    await board.api.create(pods, running("second", "plain"));
    await board.untilPod("first", isReady);
    await board.untilPod("second", isReady);
    // Each writes its name once it runs, which is a moment after it counts as ready.
    const seen = (): string[] =>
      readFileSync(join(data, "handle-plain", "seen"), "utf8")
        .trim()
        .split("\n")
        .toSorted();
    while (seen().length < 2) await Bun.sleep(20);
    expect(seen()).toEqual(["first", "second"]);
    expect(driver.calls.filter((call) => call.startsWith("stage"))).toHaveLength(1);
    expect(driver.published[0]).toMatchObject({
      volumeId: "handle-plain",
      readonly: false,
      volumeCapability: { mount: { fsType: "ext4", mountFlags: ["noatime"] }, accessMode: { mode: 1 } },
      volumeContext: {
        shape: "round",
        "csi.storage.k8s.io/pod.namespace": "default",
        "csi.storage.k8s.io/ephemeral": "false",
      },
    });
    await board.remove("first");
    expect(driver.calls).not.toContain("unstage handle-plain");
    await board.restartKubelet();
    await board.remove("second");
    expect(driver.calls.slice(-2)).toEqual(["unpublish handle-plain", "unstage handle-plain"]);
    expect(existsSync(join(board.pluginDir, "plugins/kubernetes.io/csi/plain.test"))).toBe(false);
    expect(
      linuxHost()
        .mounts()
        .filter(({ path }) => path.startsWith(board.pluginDir)),
    ).toEqual([]);
    expect(readFileSync(join(data, "handle-plain", "seen"), "utf8")).toContain("second");
  }, 300_000);

  test("a volume that is to be attached waits for it, is in use, and let go of after its pod", async () => {
    const driver = await startDriver("attached.test", {});
    await boundClaim("attached", "attached.test");
    await board.api.create(pods, running("attached", "attached"));
    const name = "kubernetes.io/csi/attached.test^handle-attached";
    await board.untilNode(({ status }) => status?.volumesInUse?.includes(name) ?? false);
    const attachment = attachmentName({ driver: "attached.test", volumeHandle: "handle-attached" }, nodeName);
    await board.until(volumeAttachments, attachment, ({ spec }) => spec.attacher === "attached.test");
    expect(driver.calls).toEqual([]);
    const status = { attached: true, attachmentMetadata: { lun: "4" } };
    await board.api.patch(
      volumeAttachments,
      { name: attachment },
      { type: "merge", body: { status } },
      { subresource: "status" },
    );
    await board.untilPod("attached", isReady);
    expect(driver.staged[0]?.publishContext).toEqual({ lun: "4" });
    expect(driver.published[0]?.publishContext).toEqual({ lun: "4" });
    await board.remove("attached");
    await board.untilNode(({ status }) => !status?.volumesInUse?.includes(name));
  }, 300_000);

  test("a pod's own volume has secrets, tokens and the group; it is published again where the driver asks", async () => {
    const driver = await startDriver(
      "inline.test",
      {
        attachRequired: false,
        volumeLifecycleModes: ["Ephemeral"],
        fsGroupPolicy: "File",
        tokenRequests: [{ audience: "vault", expirationSeconds: 3600 }],
        requiresRepublish: true,
      },
      { capabilities: [] },
    );
    await board.api.create(secrets, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "inline", namespace: "default" },
      data: { key: Buffer.from("open").toString("base64") },
    });
    const csi = { driver: "inline.test", volumeAttributes: { a: "b" }, nodePublishSecretRef: { name: "inline" } };
    const spec = {
      containers: [shell("main", "echo x >/data/x && stat -c %g /data/x", mountedAt)],
      securityContext: { fsGroup: 4321 },
      volumes: [{ name: "data", csi }],
    };
    await board.api.create(pods, pod("inline", spec));
    await board.untilPod("inline", phaseIs("Succeeded"));
    const [published] = driver.published;
    expect(published?.secrets).toEqual({ key: "open" });
    expect(published?.stagingTargetPath).toBe("");
    const tokens = JSON.parse(published?.volumeContext["csi.storage.k8s.io/serviceAccount.tokens"] ?? "{}");
    expect(tokens.vault.token).toMatch(/^ey/);
    expect(Date.parse(tokens.vault.expirationTimestamp)).toBeGreaterThan(Date.now());
    expect(await board.logsOf("inline", "main")).toBe("4321\n");
    await board.remove("inline");
    expect(driver.calls.at(-1)).toStartWith("unpublish csi-");
  }, 300_000);

  test("what the driver refuses is told, and tried again", async () => {
    const driver = await startDriver("shy.test", { attachRequired: false });
    await boundClaim("shy", "shy.test");
    driver.refusal = new GrpcError(GrpcCode.ResourceExhausted, "the shelf is full", true);
    await board.api.create(pods, running("shy", "shy"));
    await board.untilTold(
      "shy",
      'FailedMount: MountVolume.SetUp failed for volume "pv-shy" : rpc error: code = ResourceExhausted desc = the shelf is full',
    );
    driver.refusal = undefined;
    await board.untilPod("shy", isReady);
    await board.remove("shy");
  }, 300_000);

  test("a driver that is not there is told of; its volumes come when it does", async () => {
    await boundClaim("late", "late.test");
    await board.api.create(csiDrivers, {
      apiVersion: "storage.k8s.io/v1",
      kind: "CSIDriver",
      metadata: { name: "late.test" },
      spec: { attachRequired: false },
    });
    await board.api.create(pods, running("late", "late"));
    await board.untilTold("late", "driver name late.test not found in the list of registered CSI drivers");
    const driver = new CsiTestDriver({ name: "late.test", root: board.pluginDir, data });
    drivers.push(driver);
    await driver.start();
    await board.untilPod("late", isReady);
    await board.remove("late");
  }, 300_000);

  test("a board that boots while the master is away starts its pods on their volumes, and tells of drivers after", async () => {
    const driver = await startDriver("lonely.test", { attachRequired: false, podInfoOnMount: true });
    await board.api.create(secrets, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "staging", namespace: "default" },
      data: { key: Buffer.from("open").toString("base64") },
    });
    await boundClaim("lonely", "lonely.test", {
      csi: {
        driver: "lonely.test",
        volumeHandle: "handle-lonely",
        nodeStageSecretRef: { name: "staging", namespace: "default" },
      },
    });
    await board.api.create(pods, running("lonely", "lonely"));
    await board.untilPod("lonely", isReady);
    const resource = "example.test/late";
    const plugin = new TestDevicePlugin(board.pluginDir, resource, ["a"], () => ({}));
    const newcomer = new CsiTestDriver({ name: "newcomer.test", root: board.pluginDir, data });
    drivers.push(newcomer);
    try {
      await board.losePower();
      await driver.stop();
      board.client.severed = true;
      await board.startKubelet();
      const calls = driver.calls.length;
      await driver.start();
      await newcomer.start();
      await plugin.start();
      const deadline_ms = performance.now() + 120_000;
      const lines = (): number => readFileSync(join(data, "handle-lonely", "seen"), "utf8").split("\n").length - 1;
      while (lines() < 2 && performance.now() < deadline_ms) await Bun.sleep(100);
      expect(lines()).toBe(2);
      expect(driver.calls.slice(calls)).toEqual(["stage handle-lonely", "publish handle-lonely"]);
      expect(driver.staged.at(-1)?.secrets).toEqual({ key: "open" });
      while (newcomer.verdicts.length === 0 && performance.now() < deadline_ms) await Bun.sleep(100);
      expect(newcomer.verdicts).toEqual([{ registered: true, error: "" }]);
      const unseen = await board.api.get(csiNodes, { name: nodeName });
      expect(unseen.spec.drivers.some(({ name }) => name === "newcomer.test")).toBe(false);
    } finally {
      board.client.severed = false;
    }
    await board.until(csiNodes, nodeName, ({ spec }) => spec.drivers.some(({ name }) => name === "newcomer.test"));
    await board.untilNode(({ status }) => status?.allocatable?.[resource] === "1");
    await plugin.stop();
    await board.remove("lonely");
    expect(driver.calls.slice(-2)).toEqual(["unpublish handle-lonely", "unstage handle-lonely"]);
  }, 400_000);

  test("how full volumes are is asked of their drivers when somebody wants to know, and not again at once", async () => {
    const driver = await startDriver(
      "full.test",
      { attachRequired: false },
      {
        capabilities: [nodeCapabilities.stageUnstage, nodeCapabilities.volumeStats, nodeCapabilities.volumeCondition],
        usage: [
          { available: 600, total: 1000, used: 400, unit: usageUnits.bytes },
          { available: 7, total: 10, used: 3, unit: usageUnits.inodes },
        ],
      },
    );
    driver.condition = { abnormal: true, message: "the disk squeaks" };
    await boundClaim("full", "full.test");
    const script = `head -c 65536 /dev/zero >/own/file; touch /data/x; ${wait}`;
    const volumeMounts = [...mountedAt.volumeMounts, { name: "own", mountPath: "/own" }];
    const spec = {
      containers: [shell("main", script, { volumeMounts })],
      volumes: [...claimed("full"), { name: "own", emptyDir: {} }],
    };
    await board.api.create(pods, pod("full", spec));
    await board.untilPod("full", isReady);
    while (!existsSync(join(data, "handle-full", "x"))) await Bun.sleep(50);
    const { kubelet } = board;
    if (!kubelet) throw new Error("no kubelet");
    const served = servedBoard(kubelet);
    expect(driver.calls).not.toContain("stats handle-full");
    const summary = (await served.summary("all")) as { pods: { podRef: { name: string }; volume?: object[] }[] };
    const volumes = summary.pods.find(({ podRef }) => podRef.name === "full")?.volume;
    expect(volumes).toMatchObject([
      {
        name: "data",
        pvcRef: { namespace: "default", name: "full" },
        availableBytes: 600,
        capacityBytes: 1000,
        usedBytes: 400,
        inodes: 10,
        inodesFree: 7,
        inodesUsed: 3,
        volumeHealthStats: { abnormal: true },
      },
      { name: "own" },
    ]);
    const own = volumes?.[1] as { usedBytes: number; capacityBytes: number; pvcRef?: object };
    expect(own.usedBytes).toBeGreaterThanOrEqual(65_536);
    expect(own.usedBytes).toBeLessThan(own.capacityBytes);
    expect(own.pvcRef).toBeUndefined();
    const text = (await served.metrics("/metrics")) ?? "";
    const labels = '{namespace="default",persistentvolumeclaim="full"}';
    expect(text).toContain(`kubelet_volume_stats_used_bytes${labels} 400\n`);
    expect(text).toContain(`kubelet_volume_stats_inodes_free${labels} 7\n`);
    expect(text).toContain(`kubelet_volume_stats_health_status_abnormal${labels} 1\n`);
    expect(driver.calls.filter((call) => call === "stats handle-full").length).toBe(1);
    await board.untilTold("full", "VolumeConditionAbnormal: Volume data: the disk squeaks");
    await board.remove("full");
  }, 300_000);

  test("a block volume is a device of its container", async () => {
    const driver = await startDriver("block.test", { attachRequired: false });
    await boundClaim("block", "block.test", { volumeMode: "Block" });
    const container = shell("main", "stat -c %F:%t /dev/xvda", {
      volumeDevices: [{ name: "data", devicePath: "/dev/xvda" }],
    });
    await board.api.create(pods, pod("block", { containers: [container], volumes: claimed("block") }));
    await board.untilPod("block", phaseIs("Succeeded"));
    expect(await board.logsOf("block", "main")).toBe("block special file:7\n");
    expect(driver.published[0]?.volumeCapability).toMatchObject({ block: {}, mount: undefined });
    await board.remove("block");
    expect(driver.calls).toEqual([
      "stage handle-block",
      "publish handle-block",
      "unpublish handle-block",
      "unstage handle-block",
    ]);
  }, 300_000);

  test("a volume that has become larger is grown, and the claim told", async () => {
    const driver = await startDriver("grow.test", { attachRequired: false });
    await boundClaim("grow", "grow.test");
    await board.api.patch(
      persistentVolumes,
      { name: "pv-grow" },
      { type: "merge", body: { spec: { capacity: { storage: "2Gi" } } } },
    );
    await board.api.create(pods, running("grow", "grow"));
    await board.untilPod("grow", isReady);
    await board.until(persistentVolumeClaims, "grow", ({ status }) => status?.capacity?.["storage"] === "2Gi");
    expect(driver.expanded[0]?.capacityRange).toEqual({ requiredBytes: 2 * 1024 ** 3, limitBytes: 0 });
    await board.remove("grow");
  }, 300_000);
});
