import { afterEach, describe, expect, test } from "bun:test";
import { deviceClasses, nodes, pods, resourceClaims, resourceSlices } from "#shared/api/resources.ts";
import type {
  Device,
  DeviceClaim,
  DeviceClass,
  ExactDeviceRequest,
  ResourceClaim,
  ResourceSlice,
} from "#shared/api/types/resource-v1.generated.ts";
import { eventually } from "../../controllers/testing/eventually.ts";
import { Harness } from "../../controllers/testing/harness.ts";
import { AllocationError, allocate, FailedOnNode } from "../dynamic-resources/allocator.ts";
import { deviceValue, selects } from "../dynamic-resources/device-selector.ts";
import { poolsFor, poolsOf } from "../dynamic-resources/pools.ts";
import { Scheduler } from "../scheduler.ts";
import { testNode, testPod } from "../testing.ts";

const driver = "gpu.example.com";
const device = (name: string, model: string, memory = "8Gi", slot = 0): Device => ({
  name,
  attributes: { model: { string: model }, slot: { int: slot }, firmware: { version: "1.2.3" } },
  capacity: { memory: { value: memory } },
});
const slice = (node: string, devices: Device[], pool = {}): ResourceSlice => ({
  apiVersion: "resource.k8s.io/v1",
  kind: "ResourceSlice",
  metadata: { name: `slice-${node}` },
  spec: { driver, nodeName: node, pool: { name: node, generation: 1, resourceSliceCount: 1, ...pool }, devices },
});
const anyGpu: DeviceClass = {
  apiVersion: "resource.k8s.io/v1",
  kind: "DeviceClass",
  metadata: { name: "gpu" },
  spec: { selectors: [{ cel: { expression: `device.driver == "${driver}"` } }] },
};
const claim = (name: string, devices: DeviceClaim): ResourceClaim => ({
  apiVersion: "resource.k8s.io/v1",
  kind: "ResourceClaim",
  metadata: { name, namespace: "default", uid: name },
  spec: { devices },
});
const cel = (expression: string) => ({ cel: { expression } });
const exactly = (more: Partial<ExactDeviceRequest> = {}, name = "r") => ({
  name,
  exactly: { deviceClassName: "gpu", ...more },
});
const classOf = (name: string) => (name === "gpu" ? anyGpu : undefined);

describe("selectors", () => {
  const value = deviceValue(driver, device("d", "a100", "40Gi", 3));
  test.each([
    [`device.attributes["${driver}"].model == "a100"`, true],
    [`device.attributes["${driver}"].slot > 3`, false],
    [`device.attributes["${driver}"].firmware.compareTo(semver("1.0.0")) > 0`, true],
    [`device.capacity["${driver}"].memory.compareTo(quantity("20Gi")) >= 0`, true],
    // A domain that the device knows nothing of is empty.
    [`"x" in device.attributes["other.example.com"]`, false],
  ])("%s", (expression, expected) => expect(selects([cel(expression)], value)).toBe(expected));

  test("one that goes wrong says so", () => {
    expect(() => selects([cel(`device.attributes["${driver}"].nothing == 1`)], value)).toThrow("no such key");
  });
});

describe("what a claim gets on a node", () => {
  const gpus = [device("d0", "a100"), device("d1", "t4"), device("d2", "a100", "8Gi", 1)];
  const results = (devices: DeviceClaim, taken: string[] = [], slices = [slice("a", gpus)]) => {
    const pools = poolsFor(testNode("a"), poolsOf(slices));
    const found = allocate([claim("c", devices)], pools, new Set(taken), classOf);
    return found?.[0]?.result.devices?.results?.map(({ request, device: name }) => `${request}=${name}`).join();
  };
  const model = (name: string) => ({ selectors: [cel(`device.attributes["${driver}"].model == "${name}"`)] });

  test("a number of devices that its selectors let through and nobody has", () => {
    expect(results({ requests: [exactly()] })).toBe("r=d0");
    expect(results({ requests: [exactly()] }, [`${driver}/a/d0`])).toBe("r=d1");
    expect(results({ requests: [exactly({ count: 2, ...model("a100") })] })).toBe("r=d0,r=d2");
    expect(results({ requests: [exactly({ count: 2, ...model("a100") })] }, [`${driver}/a/d2`])).toBeUndefined();
    expect(results({ requests: [exactly({ count: 4 })] })).toBeUndefined();
  });

  test("all of them, or none", () => {
    expect(results({ requests: [exactly({ allocationMode: "All", ...model("a100") })] })).toBe("r=d0,r=d2");
    expect(results({ requests: [exactly({ allocationMode: "All" })] }, [`${driver}/a/d1`])).toBeUndefined();
  });

  test("another choice where the first leads nowhere", () => {
    const requests = [exactly({}, "any"), exactly(model("a100"), "big"), exactly(model("a100"), "bigger")];
    expect(results({ requests })).toBe("any=d1,big=d0,bigger=d2");
  });

  test("devices that are alike", () => {
    const constraints = [{ matchAttribute: `${driver}/model` }];
    expect(results({ requests: [exactly({ count: 2 })], constraints })).toBe("r=d0,r=d2");
    expect(results({ requests: [exactly({ count: 3 })], constraints })).toBeUndefined();
  });

  test("a search that has too many ways to go is given up, which is not to say that there is nothing", () => {
    // Fifteen alike of fourteen each: most choices of fourteen would be tried.
    const many = Array.from({ length: 70 }, (_, index) => device(`d${index}`, `model-${index % 5}`));
    const constraints = [{ matchAttribute: `${driver}/model` }];
    const search = () => results({ requests: [exactly({ count: 15 })], constraints }, [], [slice("a", many)]);
    expect(search).toThrow(new FailedOnNode("timed out trying to allocate devices"));
  });

  test("nothing of a pool that has a name twice, which is said where no other pool will do", () => {
    const [one, other] = ["one", "other"].map((name) => ({
      ...slice("a", gpus, { resourceSliceCount: 2 }),
      metadata: { name },
    })) as [ResourceSlice, ResourceSlice];
    const find = (request: Partial<ExactDeviceRequest>, ...more: ResourceSlice[]) =>
      results({ requests: [exactly(request)] }, [], [one, other, ...more]);
    expect(() => find({})).toThrow(new FailedOnNode("invalid resource pools were encountered"));
    const sound = { ...slice("a", [device("z0", "t4")], { name: "z" }), metadata: { name: "sound" } };
    expect(find({}, sound)).toBe("r=z0");
    expect(() => find({ allocationMode: "All" }, sound)).toThrow(
      new AllocationError(
        `claim default/c, request r: asks for all devices, but resource pool ${driver}/a is currently invalid`,
      ),
    );
  });

  test("the first alternative that can be had", () => {
    const alternative = (name: string) => ({ name, deviceClassName: "gpu", ...model(name) });
    const requests = [{ name: "r", firstAvailable: ["h100", "t4", "a100"].map(alternative) }];
    expect(results({ requests })).toBe("r/t4=d1");
  });

  test("an administrator sees what others have", () => {
    const taken = gpus.map(({ name }) => `${driver}/a/${name}`);
    expect(results({ requests: [exactly({ adminAccess: true })] }, taken)).toBe("r=d0");
  });

  test("nothing of pools that are not whole, of old generations, of other nodes", () => {
    const requests = [exactly()];
    expect(results({ requests }, [], [slice("a", gpus, { resourceSliceCount: 2 })])).toBeUndefined();
    const newer = { ...slice("a", [device("n", "t4")], { generation: 2 }), metadata: { name: "newer" } };
    expect(results({ requests }, [], [slice("a", gpus), newer])).toBe("r=n");
    expect(results({ requests }, [], [slice("b", gpus)])).toBeUndefined();
  });

  test("selectors are asked of free devices alone, and of no more than are needed", () => {
    const odd = { ...device("odd", "t4"), attributes: {} };
    const requests = [exactly({ selectors: [cel(`device.attributes["${driver}"].model == "a100"`)] })];
    const slices = [slice("a", [device("d0", "a100"), odd])];
    expect(results({ requests }, [], slices)).toBe("r=d0");
    expect(results({ requests }, [`${driver}/a/odd`, `${driver}/a/d0`], slices)).toBeUndefined();
    expect(() => results({ requests }, [`${driver}/a/d0`], slices)).toThrow(
      "claim default/c: selector #0: CEL runtime error: no such key: model",
    );
  });

  test("a class that does not exist is said", () => {
    expect(() => results({ requests: [exactly({ deviceClassName: "none" })] })).toThrow(AllocationError);
  });

  test("settings of class and claim, and where it can be used", () => {
    const opaque = (value: string) => ({ opaque: { driver, parameters: { value } } });
    const withConfig = { ...anyGpu, spec: { ...anyGpu.spec, config: [opaque("class")] } };
    const devices = { requests: [exactly()], config: [opaque("claim"), { requests: ["other"], ...opaque("not") }] };
    const pools = poolsFor(testNode("a"), poolsOf([slice("a", gpus)]));
    const [found] = allocate([claim("c", devices)], pools, new Set(), () => withConfig) ?? [];
    expect(found?.result.devices?.config).toEqual([
      { source: "FromClass", requests: ["r"], ...opaque("class") },
      { source: "FromClaim", ...opaque("claim") },
    ]);
    expect(found?.result.nodeSelector).toEqual({
      nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["a"] }] }],
    });
  });
});

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

test("devices that a pod's claim has where the pod cannot go are given back for others, unless somebody uses them", async () => {
  const harness = await Harness.onApiServer();
  const { client, informers } = harness;
  const scheduler = new Scheduler({ client, informers, random: () => 0 });
  stops.push(
    () => harness.stop(),
    () => scheduler.stop(),
  );
  await scheduler.start();
  for (const name of ["full", "roomy"])
    await client.create(nodes, testNode(name, { allocatable: { cpu: name === "full" ? "0" : "2" } }));
  await client.create(deviceClasses, anyGpu);
  for (const name of ["full", "roomy"]) await client.create(resourceSlices, slice(name, [device("d", "t4")]));
  const at = (node: string) => ({
    allocation: {
      devices: { results: [{ request: "r", driver, pool: node, device: "d" }] },
      nodeSelector: {
        nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }],
      },
    },
  });
  const used = { ...at("full"), reservedFor: [{ resource: "pods", name: "other", uid: "other" }] };
  await client.create(resourceClaims, { ...claim("used", { requests: [exactly()] }), status: used });
  await client.create(resourceClaims, { ...claim("free", { requests: [exactly()] }), status: at("full") });
  for (const name of ["used", "free"]) {
    const spec = { resourceClaims: [{ name: "gpu", resourceClaimName: name }] };
    await client.create(pods, testPod(name, spec, { requests: { cpu: "1" } }));
  }
  const read = (name: string) => client.get(pods, { namespace: "default", name });
  await eventually(async () => (await read("free")).spec?.nodeName === "roomy", "the pod beside other devices");
  const { status } = await client.get(resourceClaims, { namespace: "default", name: "free" });
  expect(status?.allocation?.devices?.results).toMatchObject([{ pool: "roomy" }]);
  await eventually(async () => (await read("used")).status?.conditions?.[0]?.message !== undefined, "the reason");
  expect((await read("used")).status?.conditions?.[0]?.message).toContain("still not schedulable");
  const kept = await client.get(resourceClaims, { namespace: "default", name: "used" });
  expect(kept.status).toEqual(used);
});

test("pods come to the node that has their devices, and each device is given once", async () => {
  const harness = await Harness.onApiServer();
  const { client, informers } = harness;
  const scheduler = new Scheduler({ client, informers, random: () => 0 });
  stops.push(
    () => harness.stop(),
    () => scheduler.stop(),
  );
  await scheduler.start();
  for (const name of ["a", "b"]) await client.create(nodes, testNode(name));
  await client.create(deviceClasses, anyGpu);
  await client.create(resourceSlices, slice("b", [device("d0", "t4"), device("d1", "t4")]));
  const names = ["p0", "p1", "p2"];
  for (const name of names) {
    await client.create(resourceClaims, claim(name, { requests: [exactly()] }));
    await client.create(pods, testPod(name, { resourceClaims: [{ name: "gpu", resourceClaimName: name }] }));
  }
  const read = async (name: string) => (await client.get(pods, { namespace: "default", name })).spec?.nodeName;
  const placed = async () => (await Promise.all(names.map(read))).filter((node) => node !== undefined);
  await eventually(async () => (await placed()).length === 2, "two pods");
  expect(await placed()).toEqual(["b", "b"]);
  const claims = (await client.list(resourceClaims)).items;
  const given = claims
    .flatMap(({ status }) => status?.allocation?.devices?.results ?? [])
    .map((result) => result.device);
  expect(given.toSorted()).toEqual(["d0", "d1"]);
  const reservedFor = claims.flatMap(({ status }) => status?.reservedFor ?? []).map(({ name }) => name);
  expect(reservedFor).toHaveLength(2);
  const [waiting = ""] = names.filter((name) => !reservedFor.includes(name));
  const condition = async () =>
    (await client.get(pods, { namespace: "default", name: waiting })).status?.conditions?.[0]?.message;
  await eventually(async () => (await condition()) !== undefined, "the reason");
  expect(await condition()).toStartWith("0/2 nodes are available: 2 cannot allocate all claims.");
  // A further device lets it in.
  const key = { name: "slice-b" };
  const { spec } = await client.get(resourceSlices, key);
  const more = {
    ...spec,
    pool: { ...spec.pool, generation: 2 },
    devices: [...(spec.devices ?? []), device("d2", "t4")],
  };
  await client.patch(resourceSlices, key, { type: "merge", body: { spec: more } });
  await eventually(async () => (await placed()).length === 3, "the third pod");
});
