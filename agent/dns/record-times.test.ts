import { expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { type Answer, decode, encode } from "dns-packet";
import { Forwarder } from "./forwarder.ts";
import { capped, lifeOf } from "./record-times.ts";

const question = { type: "A", name: "example.org" } as const;
const address = (ttl: number, data = "192.0.2.1"): Answer => ({ ...question, ttl, data });
const authority = (ttl: number, minimum: number): Answer => ({
  type: "SOA",
  name: "org",
  ttl,
  data: { mname: "ns.org", rname: "host.org", serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
});
const message = (code: number, answers: Answer[], authorities: Answer[] = [], id = 1): Buffer =>
  encode({ type: "response", id, flags: 0x180 | code, questions: [question], answers, authorities });
const ttlsOf = (bytes: Buffer | undefined): unknown[] =>
  (decode(bytes ?? Buffer.alloc(0)).answers ?? []).map((record) => "ttl" in record && record.ttl);

test("an answer may be kept as long as all of it holds, and that there is nothing as the authority says", () => {
  expect(lifeOf(message(0, [address(60), address(20)]))).toBe(20);
  expect(lifeOf(message(3, [], [authority(60, 15)]))).toBe(15);
  expect(lifeOf(message(0, [], [authority(10, 15)]))).toBe(10);
  expect(lifeOf(message(0, [address(60)], [authority(60, 15)]))).toBe(60);
  expect(lifeOf(message(3, []))).toBeUndefined();
});

test("records hold no longer than is said, each by its own time", () => {
  expect(ttlsOf(capped(message(0, [address(60), address(20)]), 30))).toEqual([30, 20]);
  const garbage = Buffer.from("garbage that is no message");
  expect(capped(garbage, 30)).toEqual(garbage);
});

test("what a forwarder has kept for a while holds for that much less", async () => {
  let [asked, now_ms] = [0, 0];
  const upstream = createSocket("udp4");
  await new Promise<void>((done) => upstream.bind(0, "127.0.0.1", done));
  upstream.on("message", (query, { port }) => {
    asked++;
    upstream.send(message(0, [address(100)], [], query.readUInt16BE(0)), port, "127.0.0.1");
  });
  const zone = { upstreams: [{ address: "127.0.0.1", port: upstream.address().port }], longestLife_s: 30 };
  const forwarder = new Forwarder(new Set(), "/nonexistent", () => now_ms);
  const ask = async (): Promise<unknown[]> =>
    ttlsOf(await forwarder.forward(encode({ type: "query", id: 7, questions: [question] }), zone));
  await ask();
  now_ms = 11_500;
  expect(await ask()).toEqual([18]);
  expect(asked).toBe(1);
  now_ms = 30_000;
  await ask();
  expect(asked).toBe(2);
  upstream.close();
});
