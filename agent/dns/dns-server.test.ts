import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { decode, encode, type Packet } from "dns-packet";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { freePort } from "#shared/testing/free-port.ts";
import type { ClusterView } from "./cluster-records.ts";
import { DnsServer } from "./dns-server.ts";
import { type DnsSettings, readDnsSettings, usualDnsSettings } from "./dns-settings.ts";
import { Forwarder } from "./forwarder.ts";

const port = { name: "http", port: 80, protocol: "TCP" };
const service = (name: string, spec: object): Service =>
  ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "shop", name },
    spec: { ports: [port], ...spec },
  }) as Service;
const many = Array.from({ length: 60 }, (_, index) => ({ addresses: [`10.42.3.${index + 1}`] }));
const slices: Record<string, EndpointSlice[]> = {
  db: [
    slice("db", [
      { addresses: ["10.42.1.5"], hostname: "db-0" },
      { addresses: ["10.42.2.5"] },
      { addresses: ["10.42.2.9"], conditions: { ready: false } },
    ]),
  ],
  crowd: [slice("crowd", many)],
};
const all = [
  service("web", { clusterIP: "10.43.0.7", clusterIPs: ["10.43.0.7"] }),
  service("db", { clusterIP: "None", clusterIPs: ["None"] }),
  service("crowd", { clusterIP: "None", clusterIPs: ["None"] }),
  service("alias", { type: "ExternalName", externalName: "web.shop.svc.cluster.local" }),
];
let isUsable = true;
let whenUsable = (): Promise<void> => Promise.resolve();
const view: ClusterView = {
  isUsable: () => isUsable,
  get usable() {
    return whenUsable();
  },
  service: (namespace, name) =>
    all.find((each) => each.metadata.namespace === namespace && each.metadata.name === name),
  hasNamespace: (namespace) => namespace === "shop",
  slices: (_, name) => slices[name] ?? [],
  serviceByIp: (ip) => all.find((each) => each.spec?.clusterIP === ip),
  slicesByAddress: (ip) =>
    Object.values(slices)
      .flat()
      .filter((each) => each.endpoints?.some((endpoint) => endpoint.addresses.includes(ip))),
};

function slice(name: string, endpoints: object[]): EndpointSlice {
  const metadata = { namespace: "shop", name: `${name}-1`, labels: { "kubernetes.io/service-name": name } };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata,
    addressType: "IPv4",
    endpoints,
    ports: [port],
  } as EndpointSlice;
}

describe("the DNS server", () => {
  // A second server plays the board's resolver: it knows a zone of its own and nothing else.
  let upstream: DnsServer;
  let server: DnsServer;
  let asked = 0;
  let settings: DnsSettings = usualDnsSettings;

  beforeAll(async () => {
    upstream = new DnsServer({
      addresses: ["127.0.0.53"],
      port: await freePort(),
      domain: "outside.test",
      view,
      forwarder: { forward: async () => undefined },
      log: silentLog,
    });
    await upstream.start();
    server = new DnsServer({
      addresses: ["127.0.0.1"],
      port: await freePort(),
      domain: "cluster.local",
      view,
      log: silentLog,
      settings: () => settings,
      forwarder: {
        forward: async (query) => {
          asked++;
          return udpBytes(upstream.port, query, "127.0.0.53");
        },
      },
    });
    await server.start();
  });
  afterAll(async () => {
    await server.stop();
    await upstream.stop();
  });

  const ask = (name: string, type = "A"): Promise<Packet> => udp(server.port, queryFor(name, type));
  const data = async (name: string, type = "A"): Promise<unknown[]> =>
    ((await ask(name, type)).answers ?? []).map((answer) => ("data" in answer ? answer.data : undefined));
  const code = async (name: string, type = "A"): Promise<number> => ((await ask(name, type)).flags ?? 0) & 0xf;

  test("a Service has its cluster address; a headless one those of its ready endpoints", async () => {
    expect(await data("web.shop.svc.cluster.local")).toEqual(["10.43.0.7"]);
    expect(await data("WEB.shop.svc.Cluster.Local")).toEqual(["10.43.0.7"]);
    expect((await data("db.shop.svc.cluster.local")).sort()).toEqual(["10.42.1.5", "10.42.2.5"]);
    expect(await data("db-0.db.shop.svc.cluster.local")).toEqual(["10.42.1.5"]);
    expect(await data("10-42-2-5.db.shop.svc.cluster.local")).toEqual(["10.42.2.5"]);
  });
  test("SRV names the port and its hosts", async () => {
    expect(await data("_http._tcp.web.shop.svc.cluster.local", "SRV")).toEqual([
      { priority: 0, weight: 100, port: 80, target: "web.shop.svc.cluster.local" },
    ]);
    const packet = await ask("_http._tcp.db.shop.svc.cluster.local", "SRV");
    expect(packet.answers).toHaveLength(2);
    expect(packet.additionals).toHaveLength(2);
    expect(await code("_http._udp.web.shop.svc.cluster.local", "SRV")).toBe(3);
  });
  test("addresses lead back to names", async () => {
    expect(await data("7.0.43.10.in-addr.arpa", "PTR")).toEqual(["web.shop.svc.cluster.local"]);
    expect(await data("5.1.42.10.in-addr.arpa", "PTR")).toEqual(["db-0.db.shop.svc.cluster.local"]);
  });
  test("pods' names hold their address", async () => {
    expect(await data("10-42-1-5.shop.pod.cluster.local")).toEqual(["10.42.1.5"]);
    expect(await code("10-42-1-5.nowhere.pod.cluster.local")).toBe(3);
  });
  test("an ExternalName is an alias with the addresses of its target", async () => {
    expect(await data("alias.shop.svc.cluster.local")).toEqual(["web.shop.svc.cluster.local", "10.43.0.7"]);
  });
  test("a name without that type is empty, an unknown name does not exist; both say for how long", async () => {
    const empty = await ask("web.shop.svc.cluster.local", "AAAA");
    expect([(empty.flags ?? 0) & 0xf, empty.answers?.length, empty.authorities?.[0]?.type]).toEqual([0, 0, "SOA"]);
    const unknown = await ask("nobody.shop.svc.cluster.local");
    expect([(unknown.flags ?? 0) & 0xf, unknown.authorities?.[0]?.type]).toEqual([3, "SOA"]);
  });
  test("other names are asked upstream, and only they", async () => {
    const before = asked;
    expect(await data("dns-version.outside.test", "TXT")).toEqual([[Buffer.from("1.1.0")]]);
    expect(asked).toBe(before + 1);
    expect(await code("nobody.shop.svc.cluster.local")).toBe(3);
    expect(asked).toBe(before + 1);
  });
  test("what does not fit into UDP is truncated, and comes whole by TCP", async () => {
    const short = await ask("crowd.shop.svc.cluster.local");
    expect((short.flags ?? 0) & 0x200).toBe(0x200);
    expect((await tcp(server.port, queryFor("crowd.shop.svc.cluster.local", "A"))).answers).toHaveLength(60);
  });
  test("who holds many connections by TCP keeps nobody out", async () => {
    const held = Array.from({ length: 120 }, () => connect(server.port, "127.0.0.1").on("error", () => undefined));
    const isClosed = held.map((socket) => new Promise<void>((done) => socket.once("close", () => done())));
    await Promise.race(isClosed);
    expect((await tcp(server.port, queryFor("crowd.shop.svc.cluster.local", "A"))).answers).toHaveLength(60);
    for (const socket of held) socket.destroy();
  });
  test("settings give names addresses of their own, and the time for which answers about the cluster hold", async () => {
    const override =
      "hosts {\n 192.0.2.7 printer.example.org\n 2001:db8::7 printer.example.org\n ttl 20\n fallthrough\n}";
    settings = readDnsSettings({
      data: { "a.override": `${override}\nkubernetes cluster.local {\n ttl 30\n}` },
    }).settings;
    expect(await data("Printer.example.org")).toEqual(["192.0.2.7"]);
    expect(await data("printer.example.org", "AAAA")).toEqual(["2001:db8::7"]);
    expect((await ask("printer.example.org")).answers?.[0]).toMatchObject({ ttl: 20 });
    expect((await ask("web.shop.svc.cluster.local")).answers?.[0]).toMatchObject({ ttl: 30 });
    const before = asked;
    expect(await data("dns-version.outside.test", "TXT")).toHaveLength(1);
    expect(asked).toBe(before + 1);
    settings = usualDnsSettings;
  });
  test("a query that comes before it is known what there is waits for that", async () => {
    const known = Promise.withResolvers<void>();
    const waits = Promise.withResolvers<void>();
    isUsable = false;
    whenUsable = () => {
      waits.resolve();
      return known.promise;
    };
    const answer = data("web.shop.svc.cluster.local");
    await waits.promise;
    isUsable = true;
    known.resolve();
    expect(await answer).toEqual(["10.43.0.7"]);
  });
  test("what is no question gets an answer that says so", async () => {
    const update = queryFor("web.shop.svc.cluster.local", "A");
    update.writeUInt16BE(5 << 11, 2);
    expect((await udp(server.port, update)).flags).toBe((5 << 11) | 4);
  });
  test("garbage gets no answer and does no harm", async () => {
    const socket = createSocket("udp4");
    socket.send(Buffer.from([1, 2, 3]), server.port, "127.0.0.1");
    expect(await data("web.shop.svc.cluster.local")).toEqual(["10.43.0.7"]);
    socket.close();
  });
});

test("a zone's own servers are asked, at their port, and an answer is kept no longer than settings say", async () => {
  let asked = 0;
  const zoneServer = new DnsServer({
    addresses: ["127.0.0.1"],
    port: await freePort(),
    domain: "corp.test",
    view: {
      ...view,
      service: (namespace, name) => {
        asked++;
        return view.service(namespace, name);
      },
    },
    forwarder: { forward: async () => undefined },
    log: silentLog,
  });
  await zoneServer.start();
  try {
    const forwarder = new Forwarder(new Set(), "/nonexistent", () => 0);
    const upstreams = [{ address: "127.0.0.1", port: zoneServer.port }];
    /** Whether the zone's server was asked: how often is not said, since a late answer is asked for once more. */
    const isAsked = async (longestLife_s: number): Promise<boolean> => {
      const before = asked;
      const answer = await forwarder.forward(queryFor("web.shop.svc.corp.test", "A"), { upstreams, longestLife_s });
      expect(answer && decode(answer).answers).toMatchObject([{ data: "10.43.0.7" }]);
      return asked > before;
    };
    expect(await isAsked(0)).toBe(true);
    expect(await isAsked(0)).toBe(true);
    expect(await isAsked(30)).toBe(true);
    expect(await isAsked(30)).toBe(false);
    forwarder.forget();
    expect(await isAsked(30)).toBe(true);
  } finally {
    await zoneServer.stop();
  }
});

describe("an upstream that is not to be trusted", () => {
  /** Answers by what it is told, to whom it is told. */
  async function resolver(
    answer: (query: Buffer) => readonly (readonly [Buffer, from?: "elsewhere"])[],
    port = 0,
  ): Promise<{
    readonly zone: { upstreams: { address: string; port: number }[]; longestLife_s: number };
    asked: number;
    close(): void;
  }> {
    const [socket, other] = [createSocket("udp4"), createSocket("udp4")];
    await new Promise<void>((done) => socket.bind(port, "127.0.0.1", done));
    const it = {
      zone: { upstreams: [{ address: "127.0.0.1", port: socket.address().port }], longestLife_s: 30 },
      asked: 0,
      close: () => {
        socket.close();
        other.close();
      },
    };
    socket.on("message", (query, { port }) => {
      it.asked++;
      for (const [message, from] of answer(query)) (from ? other : socket).send(message, port, "127.0.0.1");
    });
    return it;
  }

  const answerTo = (query: Buffer, data: string, name = "example.org", id = query.readUInt16BE(0)): Buffer =>
    encode({
      type: "response",
      id,
      flags: 0x180,
      questions: [{ type: "A", name }],
      answers: [{ type: "A", name, ttl: 60, data }],
    });
  const forged = "192.0.2.66";

  test("is asked by another number than the client's, and only its own answer to that counts", async () => {
    const ids: number[] = [];
    const it = await resolver((query) => {
      ids.push(query.readUInt16BE(0));
      return [
        [answerTo(query, forged), "elsewhere"],
        [answerTo(query, forged, "example.org", (query.readUInt16BE(0) + 1) & 0xffff)],
        [answerTo(query, forged, "another.org")],
        [query],
        [Buffer.from("garbage")],
        [answerTo(query, "192.0.2.1")],
      ];
    });
    const forwarder = new Forwarder(new Set(), "/nonexistent");
    for (let times = 0; times < 3; times++) {
      const answer = decode((await forwarder.forward(queryFor("Example.org", "A"), it.zone)) ?? Buffer.alloc(0));
      expect([answer.id, answer.questions?.[0]?.name]).toEqual([4711, "Example.org"]);
      expect(answer.answers).toMatchObject([{ data: "192.0.2.1" }]);
      forwarder.forget();
    }
    expect(new Set([...ids, 4711]).size).toBeGreaterThan(2);
    it.close();
  });

  test("is asked again where it failed, or where another class or signatures are wanted", async () => {
    let code = 2;
    const it = await resolver((query) => {
      const answer = Buffer.from(query);
      answer.writeUInt16BE(0x8180 | code, 2);
      return [[answer]];
    });
    const forwarder = new Forwarder(new Set(), "/nonexistent", () => 0);
    /** Of each query whether the upstream was asked: a late answer is asked for once more. */
    const areAsked = async (...queries: Buffer[]): Promise<boolean[]> => {
      const asked: boolean[] = [];
      for (const query of queries) {
        const before = it.asked;
        await forwarder.forward(query, it.zone);
        asked.push(it.asked > before);
      }
      return asked;
    };
    const plain = queryFor("example.org", "A");
    const chaos = Buffer.from(plain);
    chaos.writeUInt16BE(3, chaos.length - 2);
    const signed = encode({
      type: "query",
      id: 1,
      questions: [{ type: "A", name: "example.org" }],
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: 1232,
          flags: 0x8000,
          extendedRcode: 0,
          ednsVersion: 0,
          flag_do: true,
          options: [],
        },
      ],
    });
    expect(await areAsked(plain, plain)).toEqual([true, true]);
    code = 3;
    expect(await areAsked(plain, chaos, signed)).toEqual([true, true, true]);
    expect(await areAsked(plain, chaos, signed)).toEqual([false, false, false]);
    it.close();
  });

  test("keeps nobody waiting by an answer that trickles in", async () => {
    const trickles: ReturnType<typeof setInterval>[] = [];
    const slow = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.write(Buffer.from([0xff, 0xff]));
      trickles.push(setInterval(() => socket.write("x"), 100));
    });
    const port = await freePort();
    await new Promise<void>((done) => slow.listen(port, "127.0.0.1", done));
    const it = await resolver((query) => {
      const answer = Buffer.from(query);
      answer.writeUInt16BE(0x8380, 2);
      return [[answer]];
    }, port);
    const answer = await new Forwarder(new Set(), "/nonexistent").forward(queryFor("example.org", "A"), it.zone);
    // What there is of it tells the client to ask by TCP itself.
    expect(answer && (answer.readUInt16BE(2) & 0x0200) !== 0).toBe(true);
    for (const trickle of trickles) clearInterval(trickle);
    slow.close();
    it.close();
  });

  test("does no harm where there is no way to it, and the next one is asked", async () => {
    const it = await resolver((query) => [[answerTo(query, "192.0.2.1")]]);
    // As without a route: the kernel lets no socket that has not asked for it send to all.
    const unreachable = { address: "255.255.255.255", port: 53 };
    const forwarder = new Forwarder(new Set(), "/nonexistent");
    const ask = async (...upstreams: { address: string; port: number }[]) =>
      forwarder.forward(queryFor("example.org", "A"), { ...it.zone, upstreams });
    expect(await ask(unreachable)).toBeUndefined();
    const answer = await ask(unreachable, ...it.zone.upstreams);
    expect(answer && decode(answer).answers).toMatchObject([{ data: "192.0.2.1" }]);
    it.close();
  });

  test("does no harm by records that cannot be read or written anew", async () => {
    // A fingerprint of no length, and an option that is not at the root.
    const records = ["c00c002c0001000000140000", "c00c00290001000000140000"];
    const it = await resolver((query) => {
      const answer = Buffer.concat([query, ...records.map((record) => Buffer.from(record, "hex"))]);
      answer.writeUInt16BE(0x8180, 2);
      answer.writeUInt16BE(records.length, 6);
      return [[answer]];
    });
    const forwarder = new Forwarder(new Set(), "/nonexistent");
    const server = new DnsServer({
      addresses: ["127.0.0.1"],
      port: await freePort(),
      domain: "cluster.local",
      view: {
        ...view,
        service: () => service("alias", { type: "ExternalName", externalName: "example.org" }),
      },
      forwarder: { forward: (query) => forwarder.forward(query, it.zone) },
      log: silentLog,
    });
    await server.start();
    const query = queryFor("example.org", "A");
    const passedOn = await udpBytes(server.port, query);
    expect(passedOn.subarray(query.length).toString("hex")).toBe(records.join(""));
    const alias = await udpBytes(server.port, queryFor("alias.shop.svc.cluster.local", "A"));
    expect(decode(alias).answers).toMatchObject([{ type: "CNAME", data: "example.org" }]);
    await server.stop();
    it.close();
  });
});

test("a server that is stopped while it waits for others ends nothing but itself", async () => {
  const asked = Promise.withResolvers<void>();
  const late = Promise.withResolvers<undefined>();
  const server = new DnsServer({
    addresses: ["127.0.0.1"],
    port: await freePort(),
    domain: "cluster.local",
    view,
    forwarder: {
      forward: () => {
        asked.resolve();
        return late.promise;
      },
    },
    log: silentLog,
  });
  await server.start();
  const client = createSocket("udp4");
  client.send(queryFor("example.org", "A"), server.port, "127.0.0.1");
  await asked.promise;
  await server.stop();
  late.resolve(undefined);
  // What nobody caught would end this process by now.
  await Bun.sleep(0);
  client.close();
});

test("without a resolver a name outside the cluster fails at once", async () => {
  expect(
    await new Forwarder(new Set(), "/nonexistent").forward(queryFor("example.org", "A"), usualDnsSettings.others),
  ).toBeUndefined();
});

function queryFor(name: string, type: string): Buffer {
  return encode({ type: "query", id: 4711, flags: 0x100, questions: [{ type: type as "A", name }] });
}

const udp = async (port: number, query: Buffer): Promise<Packet> => decode(await udpBytes(port, query));

function udpBytes(port: number, query: Buffer, address = "127.0.0.1"): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("message", (message) => {
      socket.close();
      resolve(message);
    });
    socket.once("error", reject);
    socket.send(query, port, address);
  });
}

function tcp(port: number, query: Buffer): Promise<Packet> {
  return new Promise((resolve, reject) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    const socket = connect(port, "127.0.0.1", () => socket.write(Buffer.concat([length, query])));
    let received = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < received.readUInt16BE(0) + 2) return;
      socket.destroy();
      resolve(decode(received.subarray(2)));
    });
  });
}
