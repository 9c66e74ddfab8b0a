import { describe, expect, test } from "bun:test";
import { decode, encode } from "dns-packet";
import { type Announcement, answerTo, candidatesIn, question } from "./records.ts";
import { mayAsk, serviceType } from "./service-type.ts";

const hash = "a".repeat(64);
const own: Announcement = {
  host: "raspberrypi",
  addresses: ["10.0.0.5", "10.1.0.5"],
  httpsPort: 6443,
  caHashes: [hash],
  version: "1.2.3",
};
const asker = { address: "10.0.0.9", port: 40_000 };
const multicast = { address: "10.0.0.9", port: 5353 };
const ask = (name: string, type: "PTR" | "SRV" | "A" = "PTR"): Uint8Array =>
  encode({ type: "query", id: 7, questions: [{ type, name }] });

describe("masters announced by DNS-SD", () => {
  test("a question is answered with what whoever asks needs, and understood", () => {
    expect(mayAsk(question())).toBe(true);
    const reply = answerTo(question(), asker, own);
    expect(reply?.isUnicast).toBe(true);
    expect(candidatesIn(reply?.packet ?? new Uint8Array())).toEqual([
      { url: "https://10.0.0.5:6443", host: "raspberrypi 10-0-0-5", caHashes: [hash], version: "1.2.3" },
      { url: "https://10.1.0.5:6443", host: "raspberrypi 10-0-0-5", caHashes: [hash], version: "1.2.3" },
    ]);
  });

  test("a master of IPv6 is found by its addresses of that family, and by none that is of a link alone", () => {
    const six = { ...own, addresses: ["fd00::5", "fe80::5"] };
    const asked = answerTo(question(), { address: "fe80::9%eth0", port: 40_000 }, six);
    expect(candidatesIn(asked?.packet ?? new Uint8Array())).toEqual([
      { url: "https://[fd00::5]:6443", host: "raspberrypi fd00--5", caHashes: [hash], version: "1.2.3" },
    ]);
  });

  test("a resolver that is no responder gets its id and question back, and no cache-flush bit (RFC 6762, 6.7)", () => {
    const answer = decode(Buffer.from(answerTo(ask(serviceType), asker, own)?.packet ?? []));
    expect([answer.id, answer.questions?.[0]?.name]).toEqual([7, serviceType]);
    expect(answer.additionals?.map((record) => "flush" in record && record.flush)).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(answer.answers?.every((record) => "ttl" in record && (record.ttl ?? 0) <= 10)).toBe(true);
  });

  test("one that is gets an answer for all, unless it knows already", () => {
    const reply = answerTo(ask(serviceType), multicast, own);
    expect(reply?.isUnicast).toBe(false);
    const { answers = [], id } = decode(Buffer.from(reply?.packet ?? []));
    expect(id).toBe(0);
    const again = encode({ type: "query", questions: [{ type: "PTR", name: serviceType }], answers });
    expect(answerTo(again, multicast, own)).toBeUndefined();
  });

  test("what asks for others, is no question or is broken gets none", () => {
    expect(mayAsk(ask("_ipp._tcp.local"))).toBe(false);
    expect(answerTo(ask("_ipp._tcp.local"), asker, own)).toBeUndefined();
    const answer = answerTo(question(), asker, own)?.packet ?? new Uint8Array();
    expect(mayAsk(answer)).toBe(false);
    expect(answerTo(answer, asker, own)).toBeUndefined();
    for (let length = 0; length < answer.length; length++) {
      for (const { url } of candidatesIn(answer.subarray(0, length)))
        expect(url).toMatch(/^https:\/\/10\.[01]\.0\.5:6443$/);
    }
    // What is cut off in its name, that is.
    for (let length = 0; length < question().length - 4; length++)
      expect(answerTo(question().subarray(0, length), asker, own)).toBeUndefined();
    expect(answerTo(question(), asker, { ...own, addresses: [] })).toBeUndefined();
  });

  test("the list of all services names it", () => {
    const all = "_services._dns-sd._udp.local";
    expect(mayAsk(ask(all))).toBe(true);
    const { answers } = decode(Buffer.from(answerTo(ask(all), multicast, own)?.packet ?? []));
    expect(answers?.[0]).toMatchObject({ type: "PTR", name: all, data: serviceType });
  });
});
