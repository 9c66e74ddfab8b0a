import { expect, test } from "bun:test";
import { DBusError, decodeMessage, encodeMessage } from "./message.ts";

// What libdbus' dbus-send says first, as it came through a socket.
const hello = Buffer.from(
  [
    "6c01000100000000010000006e00000001016f00150000002f6f72672f667265656465736b746f702f4442757300000006017300",
    "140000006f72672e667265656465736b746f702e444275730000000002017300140000006f72672e667265656465736b746f702e",
    "4442757300000000030173000500000048656c6c6f000000",
  ].join(""),
  "hex",
);

test("a call is written as the reference implementation does", () => {
  const header = {
    type: "call",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    destination: "org.freedesktop.DBus",
  } as const;
  expect(encodeMessage(header, 1).toString("hex")).toBe(hello.toString("hex"));
});

test("what is written is read again, and no sooner than it is whole", () => {
  const header = { type: "return", replySerial: 7, destination: ":1.2", descriptors: 1 } as const;
  const bytes = encodeMessage(header, 9, [
    { type: "s", value: "größer" },
    { type: "u", value: 4_000_000_000 },
    { type: "i", value: -1 },
    { type: "b", value: true },
    { type: "v", value: { type: "t", value: 5_000_000n } },
    { type: "h", value: 0 },
  ]);
  for (const length of [0, 15, 16, bytes.length - 1]) expect(decodeMessage(bytes.subarray(0, length))).toBeUndefined();
  const next = decodeMessage(Buffer.concat([bytes, hello]));
  expect(next?.length).toBe(bytes.length);
  expect(next?.message).toMatchObject({ ...header, serial: 9, signature: "suibvh" });
  expect(next?.message.body).toEqual(["größer", 4_000_000_000, -1, true, 5_000_000n, 0]);
});

test("arrays, structures and what is in them", () => {
  const bytes = encodeMessage({ type: "return", replySerial: 7 }, 9, [
    { type: "s", value: "x" },
    {
      type: "a(sv)",
      value: [
        ["MemoryMax", { type: "t", value: 64n }],
        ["Wants", { type: "as", value: ["a.slice", "b.slice"] }],
      ],
    },
    { type: "a(sa(sv))", value: [] },
    { type: "as", value: [] },
    { type: "b", value: true },
  ]);
  const decoded = decodeMessage(bytes);
  expect(decoded?.length).toBe(bytes.length);
  expect(decoded?.message.body).toEqual([
    "x",
    [
      ["MemoryMax", 64n],
      ["Wants", ["a.slice", "b.slice"]],
    ],
    [],
    [],
    true,
  ]);
});

test("what is no message, or claims to be endless, is refused", () => {
  expect(() => decodeMessage(Buffer.from("HTTP/1.1 400 Bad Request"))).toThrow(DBusError);
  const endless = Buffer.from(hello);
  endless.writeUInt32LE(0xffff_ffff, 4);
  expect(() => decodeMessage(endless)).toThrow("bytes");
});
