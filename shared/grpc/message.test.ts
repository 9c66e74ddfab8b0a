import { describe, expect, test } from "bun:test";
import { ProtobufError } from "../api/codec/wire.ts";
import {
  bigint,
  bool,
  bytes,
  double,
  fixed64,
  integer,
  type MessageOf,
  map,
  message,
  nested,
  optional,
  repeated,
  string,
} from "./message.ts";

const Part = message({ name: string(1), size: integer(2) });
const Whole = message({
  text: string(1),
  flag: bool(2),
  count: integer(3),
  exact: bigint(4),
  ratio: double(5),
  raw: bytes(6),
  part: nested(7, Part),
  parts: repeated(8, Part),
  numbers: repeated(9, "integer"),
  labels: map(10, "string"),
  byName: map(11, Part),
  time: fixed64(12),
  choice: optional(200, "bool"),
});
type Whole = MessageOf<typeof Whole>;

const full: Whole = {
  text: "grüße",
  flag: true,
  count: -5,
  exact: 1_764_318_451_123_456_789n,
  ratio: 0.5,
  raw: Buffer.from([0, 255]),
  part: { name: "a", size: 1 },
  parts: [
    { name: "", size: 0 },
    { name: "b", size: 2 ** 40 },
  ],
  numbers: [0, 1, 300],
  labels: { __proto__x: "1", "": "2" },
  byName: { p: { name: "p", size: 3 } },
  time: 1_764_318_451_123_456_789n,
  choice: false,
};

describe("messages", () => {
  test("come back as they were", () => {
    const back = Whole.decode(Whole.encode(full));
    expect({ ...back, labels: { ...back.labels }, byName: { ...back.byName } }).toEqual(full);
  });

  test("what is absent reads as zero, and is not written", () => {
    const empty = Whole.decode(Buffer.alloc(0));
    expect({ ...empty, labels: { ...empty.labels }, byName: { ...empty.byName }, raw: [...empty.raw] }).toEqual({
      text: "",
      flag: false,
      count: 0,
      exact: 0n,
      ratio: 0,
      raw: [],
      part: undefined,
      parts: [],
      numbers: [],
      labels: {},
      byName: {},
      time: 0n,
      choice: undefined,
    });
    expect(Whole.encode({ text: "", flag: false, count: 0, parts: [] })).toHaveLength(0);
  });

  test("the bytes are protobuf's", () => {
    expect(Part.encode({ name: "ab", size: 300 }).toString("hex")).toBe("0a02616210ac02");
    expect(Whole.encode({ choice: false }).toString("hex")).toBe("c00c00");
    expect(Whole.encode({ labels: { k: "v" } }).toString("hex")).toBe("52060a016b120176");
  });

  test("packed numbers and unknown fields are read", () => {
    // Field 9 packed [1, 2], field 15 unknown.
    const read = Whole.decode(Buffer.from("4a020102" + "7a0161", "hex"));
    expect(read.numbers).toEqual([1, 2]);
  });

  test("what is no such message is refused", () => {
    expect(() => Part.decode(Buffer.from("0aff", "hex"))).toThrow(ProtobufError);
    expect(() => Part.decode(Buffer.from("0801", "hex"))).toThrow("wrong wireType = 0 for field 1");
  });
});
