import { expect, test } from "bun:test";
import { isSampledByRatio, remoteContextOf, traceHeaders } from "./trace-context.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const span = "b7ad6b7169203331";

test("a request says which trace it is of, and whether that is recorded", () => {
  const ids = { traceId: Buffer.from(trace, "hex"), spanId: Buffer.from(span, "hex") };
  expect(remoteContextOf(`00-${trace}-${span}-01`, "a=b")).toEqual({ ...ids, isSampled: true, state: "a=b" });
  expect(remoteContextOf(`00-${trace}-${span}-00`)).toEqual({ ...ids, isSampled: false, state: "" });
  // Versions to come may say more.
  expect(remoteContextOf(`01-${trace}-${span}-09-more`)?.isSampled).toBe(true);
});

test("what is not right says nothing", () => {
  const wrong = [
    undefined,
    "",
    `00-${trace}-${span}`,
    `00-${trace}-${span}-01-more`,
    `00-${trace}-${span}-03`,
    `ff-${trace}-${span}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `00-${trace}0-${span}-01`,
  ];
  expect(wrong.map((parent) => remoteContextOf(parent))).toEqual(wrong.map(() => undefined));
});

test("so many of a million are recorded, by the trace's ID alone", () => {
  const id = (upper: bigint): Buffer => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64BE(upper, 8);
    return bytes;
  };
  const [lowest, middle, highest] = [id(0n), id(2n ** 63n), id(2n ** 64n - 1n)];
  const sampled = (rate: number) => [lowest, middle, highest].map((each) => isSampledByRatio(each, rate));
  expect(sampled(0)).toEqual([false, false, false]);
  expect(sampled(1)).toEqual([true, false, false]);
  expect(sampled(500_001)).toEqual([true, true, false]);
  expect(sampled(1_000_000)).toEqual([true, true, true]);
});

test("a context is told to others as it was told here", () => {
  const headers = { traceparent: `00-${"0a".repeat(16)}-${"0b".repeat(8)}-01`, tracestate: "a=b" };
  const context = remoteContextOf(headers.traceparent, headers.tracestate);
  expect(context && traceHeaders(context)).toEqual(headers);
  expect(context && traceHeaders({ ...context, isSampled: false, state: "" })).toEqual({
    traceparent: `00-${"0a".repeat(16)}-${"0b".repeat(8)}-00`,
  });
});
