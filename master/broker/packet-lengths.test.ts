import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { PacketLengths } from "./packet-lengths.ts";

const publish = (payload_bytes: number): Buffer =>
  generate({
    cmd: "publish",
    topic: "t",
    payload: Buffer.alloc(payload_bytes, 0xff),
    qos: 0,
    dup: false,
    retain: false,
  });
/** Of the topic and its length. */
const topic_bytes = 3;

describe("lengths of packets", () => {
  test("property: they are found however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20_000), { minLength: 1, maxLength: 5 }), fc.array(fc.nat(70_000)), (sizes, cuts) => {
        const bytes = Buffer.concat(sizes.map(publish));
        const lengths = new PacketLengths();
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const found = places.slice(1).map((end, index) => lengths.longestIn(bytes.subarray(places[index], end)));
        expect(Math.max(...found)).toBe(Math.max(...sizes) + topic_bytes);
      }),
    );
  });

  test("are known before the packet has come", () => {
    expect(new PacketLengths().longestIn(publish(3_000_000).subarray(0, 5))).toBe(3_000_000 + topic_bytes);
  });

  test("of more than four bytes are none", () => {
    expect(new PacketLengths().longestIn(Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01]))).toBe(Infinity);
  });
});
