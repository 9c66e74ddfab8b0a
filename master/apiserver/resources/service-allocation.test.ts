import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ipAddresses, serviceCIDRs, services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { ServiceCIDR } from "#shared/api/types/networking-v1.generated.ts";
import { startTestServer, type TestServer } from "../../../test/support/apiserver.ts";
import { KeyExistsError, type Store } from "../../store/store.ts";
import { openMemoryStore } from "../../store/testing/memory-store.ts";
import type { AdmissionAttributes } from "../admission/admission.ts";
import { ServiceAllocation } from "./service-allocation.ts";
import { AddressPool, NotAvailableError, PoolFullError, PortPool, type Reservations } from "./service-pools.ts";
import { StoredReservations } from "./shared-reservations.ts";

const reservations = (owner: string): Reservations => ({ owner, dryRun: false, addresses: [], ports: [] });

describe("pools", () => {
  test("give the static part only once the rest is gone", () => {
    const pool = new AddressPool(["10.0.0.0/27"], () => 0);
    const given = Array.from({ length: 30 }, (_, index) => pool.takeNext(reservations(`default/${index}`)));
    expect(given[0]).toBe("10.0.0.17");
    expect(given[14]).toBe("10.0.0.1");
    expect(new Set(given).size).toBe(30);
    expect(() => pool.takeNext(reservations("default/x"))).toThrow(PoolFullError);
  });

  test("never give the network's and the broadcast address", () => {
    const pool = new AddressPool(["10.0.0.0/30"]);
    for (const address of ["10.0.0.0", "10.0.0.3", "10.0.1.1", "fd00::1", "x"])
      expect(() => pool.take(address, reservations("a/b"))).toThrow(NotAvailableError);
  });

  test("give any address of a large range to who asks for it", () => {
    const pool = new AddressPool(["fd00::/64"]);
    for (const address of ["fd00::1", "fd00::1:0:0:0", "fd00::ffff:ffff:ffff:ffff"])
      expect(pool.take(address, reservations(`a/${address}`))).toBe(address);
    expect(() => pool.take("fd00::", reservations("a/b"))).toThrow("is not in the valid range");
  });

  test("keep reservations until they are visible or given back", () => {
    const pool = new PortPool(30_000, 30_003);
    const held = reservations("default/a");
    pool.take("30001", held);
    expect(() => pool.take("30001", reservations("default/b"))).toThrow("provided port is already allocated");
    pool.release(held);
    pool.take("30001", reservations("default/b"));
    pool.settle("default/b", ["30001"]);
    expect(() => pool.take("30001", reservations("default/b"))).toThrow(NotAvailableError);
    pool.settle("default/b", []);
    expect(pool.take("30001", reservations("default/c"))).toBe("30001");
  });
});

describe("services", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({
      guards: ({ reader }) => ({
        admission: [
          new ServiceAllocation({
            reader,
            serviceRanges: [{ family: "IPv4", cidr: "10.50.0.0/24" }],
            nodePorts: { first: 30_000, last: 30_039 },
          }),
        ],
      }),
    });
  });
  afterAll(() => server.stop());

  const create = (name: string, spec: Partial<Service["spec"]> = {}): Promise<Service> =>
    server.client.create(services, {
      metadata: { name, namespace: "default" },
      spec: { ports: [{ port: 80 }], ...spec },
    } as Service);
  const failure = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => "none",
      (error: Error) => error.message,
    );

  test("made at once have addresses and ports of their own", async () => {
    const made = await Promise.all(Array.from({ length: 30 }, (_, index) => create(`n${index}`, { type: "NodePort" })));
    expect(new Set(made.map(({ spec }) => spec.clusterIP)).size).toBe(30);
    expect(new Set(made.map(({ spec }) => spec.ports?.[0]?.nodePort)).size).toBe(30);
    for (const { spec } of made) {
      expect(spec.clusterIPs).toEqual([spec.clusterIP ?? ""]);
      expect(spec.ipFamilies).toEqual(["IPv4"]);
    }
    await Promise.all(
      made.map(({ metadata }) => server.client.delete(services, { namespace: "default", name: metadata.name ?? "" })),
    );
  });

  test("may ask for what is free, and get back what was freed", async () => {
    const spec = { type: "NodePort", clusterIP: "10.50.0.10", ports: [{ port: 80, nodePort: 30_007 }] };
    await create("asks", spec);
    expect(await failure(create("late", spec))).toBe(
      'Service "late" is invalid: spec.clusterIPs: Invalid value: ["10.50.0.10"]: failed to allocate IP 10.50.0.10: provided IP is already allocated',
    );
    expect(await failure(create("late", { type: "NodePort", ports: [{ port: 80, nodePort: 30_007 }] }))).toBe(
      'Service "late" is invalid: spec.ports[0].nodePort: Invalid value: 30007: provided port is already allocated',
    );
    expect(await failure(create("late", { type: "NodePort", ports: [{ port: 80, nodePort: 80 }] }))).toBe(
      'Service "late" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-30039',
    );
    await server.client.delete(services, { namespace: "default", name: "asks" });
    expect((await create("late", spec)).spec.clusterIP).toBe("10.50.0.10");
  });

  test("of another type give up what that type has not", async () => {
    const made = await create("turns", { type: "NodePort", ports: [{ port: 80, nodePort: 30_020 }] });
    const plain = await server.client.update(services, {
      ...made,
      spec: { ...made.spec, type: "ClusterIP", ports: [{ port: 80 }] },
    });
    expect(plain.spec.ports?.[0]?.nodePort).toBeUndefined();
    expect(plain.spec.clusterIP).toBe(made.spec.clusterIP ?? "");
    await create("takes", { type: "NodePort", ports: [{ port: 80, nodePort: 30_020 }] });
    const named = await server.client.update(services, {
      ...plain,
      spec: { type: "ExternalName", externalName: "example.com" },
    } as Service);
    expect(named.spec.clusterIP).toBeUndefined();
    expect((await create("again", { clusterIP: made.spec.clusterIP })).spec.clusterIP).toBe(made.spec.clusterIP ?? "");
  });

  test("that are headless get nothing", async () => {
    const { spec } = await create("headless", { clusterIP: "None", selector: { a: "b" } });
    expect(spec.clusterIPs).toEqual(["None"]);
  });

  test("behind a load balancer with local traffic have a port for its health checks", async () => {
    const { spec } = await create("local", { type: "LoadBalancer", externalTrafficPolicy: "Local" });
    expect(spec.healthCheckNodePort).toBeGreaterThanOrEqual(30_000);
    expect(spec.healthCheckNodePort).not.toBe(spec.ports?.[0]?.nodePort);
  });
});

describe("two API servers over one store", () => {
  test("give no address and no port twice, though neither sees the other's Services yet", async () => {
    const store = openMemoryStore();
    const nothingYet = { get: () => undefined, list: () => [], fields: () => [], onChange: () => () => undefined };
    const servers = [1, 2].map(
      () =>
        new ServiceAllocation({
          reader: nothingYet,
          serviceRanges: [{ family: "IPv4", cidr: "10.50.0.0/27" }],
          nodePorts: { first: 30_000, last: 30_029 },
          shared: new StoredReservations(store),
        }),
    );
    const given = await Promise.all(
      Array.from({ length: 24 }, async (_, index) => {
        const object: Service = {
          apiVersion: "v1",
          kind: "Service",
          metadata: { name: `s${index}`, namespace: "default" },
          spec: { type: "NodePort", ports: [{ port: 80 }] },
        };
        const attributes = { declaration: { ref: services }, operation: "CREATE", object, dryRun: false };
        await servers[index % 2]?.mutate(attributes as unknown as AdmissionAttributes);
        return object.spec;
      }),
    );
    expect(new Set(given.map(({ clusterIP }) => clusterIP)).size).toBe(24);
    expect(new Set(given.map(({ ports }) => ports?.[0]?.nodePort)).size).toBe(24);
  });

  test("what is visible or lapsed is free for the next", async () => {
    const store = openMemoryStore();
    let now_ms = 0;
    const [one, other] = [1, 2].map(() => new StoredReservations(store, () => now_ms));
    if (!one || !other) throw new Error("both were made");
    expect(await one.reserve("default/a", ["30001"])).toEqual([]);
    expect(await other.reserve("default/b", ["30001", "30002"])).toEqual(["30001"]);
    one.settle("default/a");
    while ((await other.reserve("default/b", ["30001"])).length > 0) await Bun.sleep(1);
    expect(await one.reserve("default/c", ["30001"])).toEqual(["30001"]);
    now_ms += 120_000;
    expect(await one.reserve("default/c", ["30001"])).toEqual([]);
  });

  test("who is always overtaken gives up after a request's time", async () => {
    const store = openMemoryStore();
    const overtaken = Object.create(store, {
      create: { value: (key: string) => Promise.reject(new KeyExistsError(key)) },
      get: { value: () => Promise.resolve(undefined) },
    }) as Store;
    let now_ms = 0;
    const reserving = new StoredReservations(overtaken, () => (now_ms += 1_000)).reserve("default/a", ["30001"]);
    await expect(reserving).rejects.toThrow("other API servers reserve all the time");
    await store.close();
  });
});

describe("a cluster of two families", () => {
  let server: TestServer;
  beforeAll(async () => {
    const serviceRanges = [
      { family: "IPv4", cidr: "10.50.0.0/24" },
      { family: "IPv6", cidr: "fd50::/112" },
    ] as const;
    server = await startTestServer({
      guards: ({ reader }) => ({ admission: [new ServiceAllocation({ reader, serviceRanges })] }),
    });
  });
  afterAll(() => server.stop());

  const create = (name: string, spec: Partial<Service["spec"]>): Promise<Service> =>
    server.client.create(services, {
      metadata: { name, namespace: "default" },
      spec: { ports: [{ port: 80 }], selector: { a: "b" }, ...spec },
    } as Service);
  const change = (service: Service, spec: Partial<Service["spec"]>): Promise<Service> =>
    server.client.update(services, { ...service, spec: { ...service.spec, ...spec } });
  const families = ({ spec }: Service) => [spec.ipFamilyPolicy, spec.ipFamilies, spec.clusterIPs?.map(familyOf)];
  const familyOf = (address: string): string =>
    address === "None" ? address : address.startsWith("fd50::") ? "IPv6" : "IPv4";

  test("gives one address of the first family unless asked for more", async () => {
    expect(families(await create("plain", {}))).toEqual(["SingleStack", ["IPv4"], ["IPv4"]]);
    expect(families(await create("six", { ipFamilies: ["IPv6"] }))).toEqual(["SingleStack", ["IPv6"], ["IPv6"]]);
    const both = ["IPv4", "IPv6"];
    expect(families(await create("prefer", { ipFamilyPolicy: "PreferDualStack" }))).toEqual([
      "PreferDualStack",
      both,
      both,
    ]);
    const turned = await create("turned", { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv6"] });
    expect(families(turned)).toEqual(["RequireDualStack", ["IPv6", "IPv4"], ["IPv6", "IPv4"]]);
    expect(turned.spec.clusterIP).toBe(turned.spec.clusterIPs?.[0] ?? "");
    const headless = await create("headless", { clusterIP: "None", ipFamilyPolicy: "PreferDualStack" });
    expect(families(headless)).toEqual(["PreferDualStack", both, ["None"]]);
    const bare = await create("bare", { clusterIP: "None", selector: undefined });
    expect(families(bare)).toEqual(["RequireDualStack", both, ["None"]]);
  });

  test("gives the second address on an upgrade and takes it back on a downgrade", async () => {
    const single = await create("changes", {});
    const dual = await change(single, { ipFamilyPolicy: "RequireDualStack" });
    expect(families(dual)).toEqual(["RequireDualStack", ["IPv4", "IPv6"], ["IPv4", "IPv6"]]);
    expect(dual.spec.clusterIP).toBe(single.spec.clusterIP ?? "");
    const second = dual.spec.clusterIPs?.[1] ?? "";
    await expect(create("late", { ipFamilies: ["IPv6"], clusterIP: second })).rejects.toThrow(
      "provided IP is already allocated",
    );
    const again = await change(dual, { ipFamilyPolicy: "SingleStack" });
    expect(families(again)).toEqual(["SingleStack", ["IPv4"], ["IPv4"]]);
    expect((await create("late", { ipFamilies: ["IPv6"], clusterIP: second })).spec.clusterIP).toBe(second);
  });

  test("knows an address however it is spelt, and one that is not in its range", async () => {
    await create("spelt", { clusterIP: "fd50:0::0077", ipFamilies: ["IPv6"] });
    await expect(create("other", { clusterIP: "fd50::77", ipFamilies: ["IPv6"] })).rejects.toThrow(
      "provided IP is already allocated",
    );
    await expect(create("other", { clusterIP: "fd51::1" })).rejects.toThrow(
      "the provided network does not match the current range",
    );
  });
});

describe("ServiceCIDR objects", () => {
  let server: TestServer;
  beforeEach(async () => {
    const serviceRanges = [{ family: "IPv4", cidr: "10.50.0.0/30" }] as const;
    server = await startTestServer({
      guards: ({ reader }) => ({ admission: [new ServiceAllocation({ reader, serviceRanges })] }),
    });
  });
  afterEach(() => server.stop());

  const create = (name: string, clusterIP?: string): Promise<Service> =>
    server.client.create(services, {
      metadata: { name, namespace: "default" },
      spec: { ports: [{ port: 80 }], clusterIP },
    } as Service);
  const addressOf = async (name: string): Promise<string> => (await create(name)).spec.clusterIP ?? "";
  const addRange = (name: string, ...cidrs: string[]): Promise<ServiceCIDR> =>
    server.client.create(serviceCIDRs, {
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name, finalizers: ["networking.k8s.io/service-cidr-finalizer"] },
      spec: { cidrs },
    });
  const setReady = async (name: string, status: "True" | "False"): Promise<void> => {
    const object = await server.client.get(serviceCIDRs, { name });
    const lastTransitionTime = "2026-01-01T00:00:00Z";
    const conditions = [{ type: "Ready", status, reason: "Tested", message: "", lastTransitionTime }];
    await server.client.update(serviceCIDRs, { ...object, status: { conditions } }, { subresource: "status" });
  };

  test("give addresses when the first range is full, of the cluster's families alone", async () => {
    expect([await addressOf("a"), await addressOf("b")].sort()).toEqual(["10.50.0.1", "10.50.0.2"]);
    await expect(create("c")).rejects.toThrow("failed to allocate a serviceIP: range is full");
    await addRange("more", "10.60.0.0/29", "fd60::/112");
    const given = await addressOf("c");
    expect(given).toMatch(/^10\.60\.0\.[1-6]$/);
    const free = given === "10.60.0.6" ? "10.60.0.5" : "10.60.0.6";
    expect((await create("d", free)).spec.clusterIP).toBe(free);
    await expect(create("e", free)).rejects.toThrow("provided IP is already allocated");
    await expect(create("e", "10.60.0.7")).rejects.toThrow("The range of valid IPs is 10.60.0.0/29");
    await expect(create("e", "10.61.0.1")).rejects.toThrow("the provided network does not match the current range");
    await expect(create("e", "fd60::1")).rejects.toThrow("IPv6 is not configured on this cluster");
  });

  test("that overlap give no address twice", async () => {
    await addRange("wide", "10.60.0.0/28");
    await addRange("narrow", "10.60.0.8/29");
    const given = [];
    for (let index = 0; index < 2 + 14; index++) given.push(await addressOf(`s${index}`));
    expect(new Set(given).size).toBe(16);
    await expect(create("late")).rejects.toThrow("range is full");
    // The wide range may give what is the network's address in the narrow one.
    expect(given).toContain("10.60.0.8");
  });

  test("give none while they are not ready or are being deleted", async () => {
    await addRange("more", "10.60.0.0/29");
    await setReady("more", "False");
    await expect(create("a", "10.60.0.1")).rejects.toThrow("does not match the current range");
    await setReady("more", "True");
    await create("a", "10.60.0.1");
    await server.client.delete(serviceCIDRs, { name: "more" });
    await expect(create("b", "10.60.0.2")).rejects.toThrow("does not match the current range");
    const kept = await server.client.get(services, { namespace: "default", name: "a" });
    const labels = { still: "changes" };
    const changed = await server.client.update(services, { ...kept, metadata: { ...kept.metadata, labels } });
    expect(changed.spec.clusterIP).toBe("10.60.0.1");
  });

  test("stand for the ranges of the command line too", async () => {
    await addRange("kubernetes", "10.50.0.0/30");
    await addressOf("a");
    await server.client.delete(serviceCIDRs, { name: "kubernetes" });
    await expect(create("b")).rejects.toThrow("range is full");
    await addRange("instead", "10.50.0.0/30");
    expect(await addressOf("b")).toStartWith("10.50.0.");
  });

  test("share their addresses with IPAddress objects of others", async () => {
    const parentRef = { group: "gateway.networking.k8s.io", resource: "gateways", namespace: "default", name: "edge" };
    await server.client.create(ipAddresses, {
      apiVersion: "networking.k8s.io/v1",
      kind: "IPAddress",
      metadata: { name: "10.50.0.1", labels: { "ipaddress.kubernetes.io/managed-by": "example.com" } },
      spec: { parentRef },
    });
    await expect(create("a", "10.50.0.1")).rejects.toThrow("provided IP is already allocated");
    expect(await addressOf("a")).toBe("10.50.0.2");
    await expect(create("b")).rejects.toThrow("range is full");
    await server.client.delete(ipAddresses, { name: "10.50.0.1" });
    expect(await addressOf("b")).toBe("10.50.0.1");
  });
});
