import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { decode, encode, type Packet } from "dns-packet";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import type { ClusterView } from "./cluster-records.ts";
import { DnsServer } from "./dns-server.ts";
import { readDnsSettings } from "./dns-settings.ts";

const addresses = Array.from({ length: 60 }, (_, index) => `10.42.3.${index + 1}`);
const specs: Record<string, object> = {
  web: { clusterIPs: ["10.43.0.7"], ports: [{ name: "http", port: 80 }] },
  crowd: { clusterIPs: ["None"] },
  here: { type: "ExternalName", externalName: "there.shop.svc.cluster.local" },
  there: { type: "ExternalName", externalName: "here.shop.svc.cluster.local" },
  lost: { type: "ExternalName", externalName: "nobody.shop.svc.cluster.local" },
};
const view: ClusterView = {
  isUsable: () => true,
  usable: Promise.resolve(),
  service: (namespace, name) =>
    specs[name] && ({ metadata: { namespace, name }, spec: specs[name] } as unknown as Service),
  hasNamespace: (namespace) => namespace === "shop",
  slices: () => [{ metadata: {}, endpoints: addresses.map((each) => ({ addresses: [each] })) } as EndpointSlice],
  serviceByIp: () => undefined,
  slicesByAddress: () => [],
};
const hosts = "hosts {\n 192.0.2.7 nas.lan\n}";
const web = "web.shop.svc.cluster.local";
const crowd = "crowd.shop.svc.cluster.local";

const queryFor = (name: string, type = "A"): Buffer =>
  encode({ type: "query", id: 4711, flags: 0x100, questions: [{ type: type as "A", name }] });

/** With an option (RFC 6891) behind the question. */
function withOption(query: Buffer, { size = 1232, version = 0, data = "" } = {}): Buffer {
  const option = Buffer.from(
    `000029${"0000"}00${"00"}8000${(data.length / 2).toString(16).padStart(4, "0")}${data}`,
    "hex",
  );
  option.writeUInt16BE(size, 3);
  option[6] = version;
  const whole = Buffer.concat([query, option]);
  whole[11] = (whole[11] ?? 0) + 1;
  return whole;
}

const edited = (query: Buffer, edit: (bytes: Buffer) => void): Buffer => {
  const copy = Buffer.from(query);
  edit(copy);
  return copy;
};

// As CoreDNS 1.13.1 answered the same bytes.
describe("messages", () => {
  /** What the upstream answers: a thousand bytes of records, with an option of its own. */
  let upstream: Buffer = Buffer.alloc(0);
  let passedOn: Buffer = Buffer.alloc(0);
  let server: DnsServer;
  const noted = notedLog();
  beforeAll(async () => {
    server = new DnsServer({
      addresses: ["127.0.0.1"],
      port: await freePort(),
      domain: "cluster.local",
      view,
      settings: () =>
        readDnsSettings({
          data: {
            "lan.server": `lan {\n${hosts}\n}`,
            "a.override": "hosts {\n 192.0.2.8 printer\n fallthrough\n}",
          },
        }).settings,
      forwarder: {
        forward: async (query) => {
          passedOn = query;
          return upstream;
        },
      },
      log: noted.log,
    });
    await server.start();
  });
  afterAll(() => server.stop());

  const send = (query: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const socket = createSocket("udp4");
      socket.once("error", reject);
      socket.once("message", (message) => {
        socket.close();
        resolve(message);
      });
      socket.send(query, server.port, "127.0.0.1");
    });
  const ask = async (name: string, type?: string): Promise<Packet> => decode(await send(queryFor(name, type)));
  const flagsTo = async (query: Buffer): Promise<number> => (await send(query)).readUInt16BE(2);

  test("about the cluster say that they are from the zone's own server, not that others are asked", async () => {
    expect(await flagsTo(queryFor(web))).toBe(0x8500);
    expect(await flagsTo(edited(queryFor(web), (bytes) => bytes.writeUInt16BE(0x0010, 2)))).toBe(0x8410);
  });
  test("repeat the question byte by byte, and records have the client's capitals", async () => {
    const asked = "wEb.sHop.SvC.cLuster.LocAL";
    expect(await ask(asked)).toMatchObject({ questions: [{ name: asked }], answers: [{ name: asked }] });
    expect((await ask("nEb.sHop.SvC.cLuster.LocAL")).authorities).toMatchObject([{ name: "cLuster.LocAL" }]);
    const odd = edited(queryFor("w_b.shop.svc.cluster.local"), (bytes) => void bytes.writeUInt8(0xff, 14));
    expect((await send(odd)).subarray(12, odd.length)).toEqual(odd.subarray(12));
    // A dot within a label does not part it.
    const dotted = edited(queryFor("web_shop.svc.cluster.local"), (bytes) => void bytes.writeUInt8(0x2e, 16));
    expect((await flagsTo(dotted)) & 0xf).toBe(3);
  });
  test("have an option for who sends one, and its version must be known", async () => {
    const plain = await send(queryFor(web));
    const answer = await send(withOption(queryFor(web), { data: "fde90003616263" }));
    expect(answer.subarray(plain.length).toString("hex")).toBe("00002904d0000080000000");
    expect(answer.readUInt16BE(10)).toBe(1);
    const refused = await send(withOption(queryFor(web), { version: 1 }));
    expect(refused.readUInt16BE(2)).toBe(0x8100);
    expect(refused.subarray(-11).toString("hex")).toBe("00002904d0010080000000");
    expect(await flagsTo(withOption(withOption(queryFor(web))))).toBe(0x8101);
  });
  test("hold as many records as the client can take, and say that there are more", async () => {
    const sizes = [undefined, 100, 600, 800, 1232].map((size) => {
      const query = queryFor(crowd);
      return send(size === undefined ? query : withOption(query, { size }));
    });
    const answers = await Promise.all(sizes);
    expect(answers.map(({ length }) => length)).toEqual([510, 505, 585, 793, 1017]);
    expect(answers.map((bytes) => bytes.readUInt16BE(2) & 0x200)).toEqual([0x200, 0x200, 0x200, 0x200, 0]);
    expect(answers.map((bytes) => decode(bytes).answers?.length)).toEqual([29, 28, 33, 46, 60]);
  });
  test("have addresses in another order each time", async () => {
    const orders = new Set<string>();
    for (let times = 0; times < 5; times++) {
      const { answers = [] } = decode(await send(withOption(queryFor(crowd), { size: 4096 })));
      orders.add(answers.map((record) => ("data" in record ? record.data : "")).join());
    }
    expect(orders.size).toBeGreaterThan(1);
  });
  test("to what cannot be read or is no query say so in a head alone", async () => {
    const query = queryFor(web);
    const head = async (bytes: Buffer): Promise<string> => (await send(bytes)).toString("hex");
    expect(await head(edited(query, (bytes) => bytes.writeUInt16BE(5 << 11, 2)))).toBe(`1267a804${"0".repeat(16)}`);
    const formatError = `12678101${"0".repeat(16)}`;
    for (const count of [0, 2]) {
      const twice = edited(Buffer.concat([query, query.subarray(12)]), (bytes) => bytes.writeUInt16BE(count, 4));
      expect(await head(twice)).toBe(formatError);
    }
    expect(await head(query.subarray(0, -3))).toBe(formatError);
    expect(await head(Buffer.concat([query.subarray(0, 12), Buffer.from("c00c00010001", "hex")]))).toBe(formatError);
    const long = Buffer.from(`${`3f${"61".repeat(63)}`.repeat(3)}3e${"61".repeat(62)}0000010001`, "hex");
    expect(await head(Buffer.concat([query.subarray(0, 12), long]))).toBe(formatError);
    expect(await head(edited(query, (bytes) => void bytes.writeUInt8(5, 11)))).toBe(formatError);
  });
  test("refuse copies of the zone", async () => {
    for (const type of ["AXFR", "IXFR"]) expect((await flagsTo(queryFor(web, type))) & 0xf).toBe(5);
  });
  test("have no alias that leads nowhere in the cluster", async () => {
    for (const name of ["here", "lost"]) {
      const answer = await ask(`${name}.shop.svc.cluster.local`);
      expect([answer.answers, answer.authorities?.[0]?.type]).toEqual([[], "SOA"]);
    }
  });
  test("of others are cut between records, and their option is replaced", async () => {
    const whole = encode({
      type: "response",
      id: 4711,
      flags: 0x180,
      questions: [{ type: "A", name: "example.org" }],
      answers: addresses.map((data) => ({ type: "A", name: "example.org", ttl: 60, data })),
    });
    upstream = withOption(whole, { size: 8192 });
    const short = decode(await send(queryFor("example.org")));
    expect([short.flag_tc, short.answers?.length, short.additionals]).toEqual([true, 17, []]);
    const long = await send(withOption(queryFor("example.org"), { size: 4096 }));
    expect(long.length).toBe(upstream.length);
    expect(long.readUInt16BE(long.length - 8)).toBe(4096);
  });
  test("are passed on without what does not belong to them", async () => {
    const query = queryFor("example.org");
    await send(Buffer.concat([query, Buffer.from("behind")]));
    expect(passedOn).toEqual(query);
    await send(edited(query, (bytes) => bytes.writeUInt16BE(1, 6)));
    expect(passedOn).toEqual(query);
  });
  test("reach who waits, whoever else has gone", async () => {
    for (let times = 0; times < 5; times++) {
      const socket = createSocket("udp4");
      await new Promise<void>((done) => socket.send(queryFor(web), server.port, "127.0.0.1", () => done()));
      socket.close();
      await ask(web);
    }
    await ask(web);
    expect(noted.lines).toEqual([]);
  });
  test("from `hosts` are the settings' own, also for addresses; without fallthrough others are not asked", async () => {
    expect(await flagsTo(queryFor("nas.lan"))).toBe(0x8500);
    expect((await ask("nas.lan", "ANY")).answers).toEqual([]);
    expect((await flagsTo(queryFor("other.lan"))) & 0xf).toBe(2);
    expect((await ask("8.2.0.192.in-addr.arpa", "PTR")).answers).toMatchObject([{ data: "printer" }]);
    passedOn = Buffer.alloc(0);
    const reverse = queryFor("9.2.0.192.in-addr.arpa", "PTR");
    await send(reverse);
    expect(passedOn).toEqual(reverse);
  });
});
