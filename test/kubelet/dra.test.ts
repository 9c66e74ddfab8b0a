import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ListPodResourcesResponse, podResourcesPaths } from "#agent/kubelet/devices/pod-resources.ts";
import { nodes, pods, resourceClaims, resourceSlices } from "#shared/api/resources.ts";
import type { PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceClaim, ResourceClaimStatus } from "#shared/api/types/resource-v1.generated.ts";
import { GrpcChannel } from "#shared/grpc/channel.ts";
import { until } from "#shared/testing/until.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { DraTestDriver } from "../support/dra-driver.ts";
import { KubeletBoard, nodeName, phaseIs, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

const driverName = "dra.example.test";

describe.skipIf(!canRunDockerd())("ResourceClaims by drivers of dynamic resources", () => {
  let board: KubeletBoard;
  let driver: DraTestDriver;
  const drivers: DraTestDriver[] = [];

  function newDriver(name = driverName, versions?: readonly string[]): DraTestDriver {
    const cdi = join(board.dockerd.directory, "cdi");
    const more = versions ? { versions } : {};
    const made = new DraTestDriver({ name, root: board.pluginDir, cdi, client: board.client, ...more });
    drivers.push(made);
    return made;
  }

  /** A claim that the scheduler has allocated devices to: one for each request. */
  async function allocated(name: string, requests: Readonly<Record<string, string>>, by = driverName): Promise<void> {
    await board.api.create(resourceClaims, {
      apiVersion: "resource.k8s.io/v1",
      kind: "ResourceClaim",
      metadata: { name, namespace: "default" },
      spec: {
        devices: {
          requests: Object.keys(requests).map((request) => ({
            name: request,
            exactly: { deviceClassName: "thing", allocationMode: "ExactCount", count: 1 },
          })),
        },
      },
    } as ResourceClaim);
    const results = Object.entries(requests).map(([request, device]) => ({
      request,
      driver: by,
      pool: nodeName,
      device,
    }));
    await setStatus(name, { allocation: { devices: { results } } });
  }

  const setStatus = (name: string, status: ResourceClaimStatus): Promise<unknown> =>
    board.api.patch(
      resourceClaims,
      { namespace: "default", name },
      { type: "merge", body: { status } },
      { subresource: "status" },
    );

  async function reserve(claim: string, ...podNames: string[]): Promise<void> {
    const reservedFor = [];
    for (const name of podNames) {
      const { metadata } = await board.api.get(pods, { namespace: "default", name });
      reservedFor.push({ resource: "pods", name, uid: metadata.uid ?? "" });
    }
    await setStatus(claim, { reservedFor });
  }

  /** The container `main` uses one request, or the whole claim. */
  const using = (claim: string, script: string, request?: string, more: Partial<PodSpec> = {}): Partial<PodSpec> => ({
    resourceClaims: [{ name: "own", resourceClaimName: claim }],
    containers: [
      shell("main", script, { resources: { claims: [{ name: "own", ...(request ? { request } : {}) }] } }),
      shell("other", "echo $CLAIM"),
    ],
    ...more,
  });

  const record = (): { claims: readonly { name: string; podUids: readonly string[] }[] } =>
    JSON.parse(readFileSync(join(board.pluginDir, "dra_manager_state"), "utf8"));

  beforeAll(async () => {
    board = await KubeletBoard.start(async () => ({ sliceGrace_ms: 500 }));
    await board.untilNode(() => true);
    driver = newDriver();
    await driver.start();
    await until("the driver is registered", () => driver.verdicts.length > 0);
  }, 300_000);

  afterAll(async () => {
    await board?.stop();
    for (const each of drivers) await each.stop();
  }, 300_000);

  test("a container has the devices of its request, and the claim is given up after the pod", async () => {
    expect(driver.verdicts).toEqual([{ registered: true, error: "" }]);
    await allocated("pair", { left: "l1", right: "r1" });
    const script = `echo $CLAIM $DEVICE_l1 $DEVICE_r1; cat /claim; test -c /dev/l1 && test ! -e /dev/r1 && echo device; ${wait}`;
    await board.api.create(pods, pod("taker", using("pair", script, "left")));
    await reserve("pair", "taker");
    await board.untilPod("taker", ({ status }) => status?.containerStatuses?.[0]?.state?.running !== undefined);
    await until("it has said so", async () => (await board.logsOf("taker", "main")).includes("device"));
    expect(await board.logsOf("taker", "main")).toBe("pair l1\nclaim pair\ndevice\n");
    await until("the other has said that it has none", async () => (await board.logsOf("taker", "other")) === "\n");
    const claim = await board.api.get(resourceClaims, { namespace: "default", name: "pair" });
    const asked = { namespace: "default", name: "pair", uid: claim.metadata.uid ?? "" };
    expect(driver.prepared).toEqual([asked]);
    expect(record().claims).toMatchObject([{ name: "pair", uid: claim.metadata.uid }]);

    const channel = new GrpcChannel({
      endpoint: new URL(`unix://${join(board.pluginDir, "pod-resources/kubelet.sock")}`),
    });
    const list = ListPodResourcesResponse.decode(await channel.unary(podResourcesPaths.list, Buffer.alloc(0), 60_000));
    channel.close();
    const containers = list.podResources.find(({ name }) => name === "taker")?.containers;
    expect(containers?.map(({ dynamicResources }) => dynamicResources.length)).toEqual([1, 0]);
    expect(containers?.[0]?.dynamicResources[0]).toMatchObject({
      claimName: "pair",
      claimNamespace: "default",
      claimResources: [
        {
          driverName,
          poolName: nodeName,
          deviceName: "l1",
          cdiDevices: [{ name: `${driverName}/claim=${asked.uid}-l1` }],
        },
        { driverName, poolName: nodeName, deviceName: "r1" },
      ],
    });

    expect(driver.unprepared).toEqual([]);
    await board.remove("taker");
    expect(driver.unprepared).toMatchObject([asked]);
    expect(record().claims).toEqual([]);
  }, 300_000);

  test("a pod that has not reserved its claim waits; two pods share one, and the last gives it up", async () => {
    await allocated("shared", { all: "s1" });
    await board.api.create(pods, pod("one", using("shared", wait)));
    const { metadata } = await board.api.get(pods, { namespace: "default", name: "one" });
    await board.untilTold("one", `pod one (${metadata.uid}) is not allowed to use ResourceClaim shared`);
    await board.api.create(pods, pod("two", using("shared", wait)));
    await reserve("shared", "one", "two");
    for (const name of ["one", "two"])
      await board.untilPod(name, ({ status }) => status?.containerStatuses?.[0]?.state?.running !== undefined);
    expect(driver.prepared.filter(({ name }) => name === "shared").length).toBe(1);
    await board.remove("one");
    expect(driver.unprepared.filter(({ name }) => name === "shared")).toEqual([]);
    await board.remove("two");
    expect(driver.unprepared.filter(({ name }) => name === "shared").length).toBe(1);
  }, 300_000);

  test("what the driver refuses is told, and tried again", async () => {
    driver.refusal = "the device is on fire";
    await allocated("hot", { all: "h1" });
    await board.api.create(pods, pod("patient", using("hot", "echo $DEVICE_h1")));
    await reserve("hot", "patient");
    await board.untilTold(
      "patient",
      "FailedPrepareDynamicResources: Failed to prepare dynamic resources: prepare dynamic resources: NodePrepareResources failed for ResourceClaim hot: the device is on fire",
    );
    driver.refusal = "";
    await board.untilPod("patient", phaseIs("Succeeded"));
    expect(await board.logsOf("patient", "main")).toBe("h1\n");
    await until("a pod that has ended gives up its claim", () => driver.unprepared.some(({ name }) => name === "hot"));
    await board.remove("patient");
  }, 300_000);

  test("an agent that starts anew gives up what pods had that are gone, and asks for what runs no second time", async () => {
    await allocated("gone", { all: "g1" });
    await allocated("stays", { all: "t1" });
    for (const [name, claim] of [["leaver", "gone"] as const, ["stayer", "stays"] as const]) {
      await board.api.create(pods, pod(name, using(claim, wait)));
      await reserve(claim, name);
      await board.untilPod(name, ({ status }) => status?.containerStatuses?.[0]?.state?.running !== undefined);
    }
    await board.stopKubelet();
    await board.api.delete(pods, { namespace: "default", name: "leaver" }, { gracePeriodSeconds: 0 });
    await board.startKubelet();
    await until("the claim of the pod that is gone is given up", () =>
      driver.unprepared.some(({ name }) => name === "gone"),
    );
    await until("the record holds one claim", () => record().claims.length === 1);
    expect(record().claims).toMatchObject([{ name: "stays" }]);
    expect(driver.prepared.filter(({ name }) => name === "stays").length).toBe(1);
    await board.remove("stayer");
    expect(driver.unprepared.filter(({ name }) => name === "stays").length).toBe(1);
  }, 300_000);

  test("ResourceSlices of a driver that has gone are taken off, those of one that serves are not", async () => {
    const offer = async (name: string): Promise<void> => {
      const node = await board.client.get(nodes, { name: nodeName });
      await board.client.create(resourceSlices, {
        apiVersion: "resource.k8s.io/v1",
        kind: "ResourceSlice",
        metadata: {
          name: `board-${name}`,
          ownerReferences: [{ apiVersion: "v1", kind: "Node", name: nodeName, uid: node.metadata.uid ?? "" }],
        },
        spec: {
          driver: name,
          nodeName,
          pool: { name: nodeName, generation: 1, resourceSliceCount: 1 },
          devices: [{ name: "d1" }],
        },
      });
    };
    const offered = async (): Promise<(string | undefined)[]> =>
      (await board.api.list(resourceSlices, {})).items.map(({ spec }) => spec.driver);
    const second = newDriver("second.example.test", ["v1beta1.DRAPlugin"]);
    await second.start();
    await until("the second driver is registered", () => second.verdicts.length > 0);
    await offer(driverName);
    await offer("second.example.test");
    // Killed: its sockets stay, and only the connection tells.
    await second.stop();
    await until("its slices are gone", async () => !(await offered()).includes("second.example.test"));
    expect(await offered()).toEqual([driverName]);
    // After a start of the agent, drivers have to say anew what they have.
    await board.restartKubelet();
    await until("no slices are left", async () => (await offered()).length === 0);
  }, 300_000);

  test("a driver of a version that is unknown here is refused", async () => {
    const old = newDriver("old.example.test", ["v1alpha3.Node"]);
    await old.start();
    await until("it is told", () => old.verdicts.length > 0);
    expect(old.verdicts[0]).toMatchObject({
      registered: false,
      error: expect.stringContaining('none of services supported by the plugin (["v1alpha3.Node"])'),
    });
    await allocated("orphan", { all: "o1" }, "old.example.test");
    await board.api.create(pods, pod("orphan", using("orphan", "true")));
    await reserve("orphan", "orphan");
    await board.untilTold("orphan", "DRA driver old.example.test is not registered");
    // No driver was asked for anything, so the pod can go.
    await board.remove("orphan");
  }, 300_000);
});
