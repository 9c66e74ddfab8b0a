import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import { startTestServer, type TestServer } from "../../../test/support/apiserver.ts";
import { openMemoryStore } from "../../store/memory-store.ts";
import type { AdmissionAttributes } from "../admission/admission.ts";
import { ServiceAllocation } from "./service-allocation.ts";
import { AddressPool, NotAvailableError, PoolFullError, PortPool, type Reservations } from "./service-pools.ts";
import { StoredReservations } from "./shared-reservations.ts";

const reservations = (owner: string): Reservations => ({ owner, dryRun: false, addresses: [], ports: [] });

describe("pools", () => {
  test("give the static part only once the rest is gone", () => {
    const pool = new AddressPool("10.0.0.0/27", () => 0);
    const given = Array.from({ length: 30 }, (_, index) => pool.takeNext(reservations(`default/${index}`)));
    expect(given[0]).toBe("10.0.0.17");
    expect(given[14]).toBe("10.0.0.1");
    expect(new Set(given).size).toBe(30);
    expect(() => pool.takeNext(reservations("default/x"))).toThrow(PoolFullError);
  });

  test("never give the network's and the broadcast address", () => {
    const pool = new AddressPool("10.0.0.0/30");
    for (const address of ["10.0.0.0", "10.0.0.3", "10.0.1.1", "fd00::1", "x"])
      expect(() => pool.take(address, reservations("a/b"))).toThrow(NotAvailableError);
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
    await expect(create("other", { clusterIP: "fd51::1" })).rejects.toThrow("is not in the valid range");
  });
});
