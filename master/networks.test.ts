import { expect, test } from "bun:test";
import { nthAddress, parsePortRange } from "./networks.ts";

test("addresses of a network are counted from its first", () => {
  expect(nthAddress("10.43.0.0/16", 1)).toBe("10.43.0.1");
  expect(nthAddress("192.168.0.0/24", 255)).toBe("192.168.0.255");
  expect(() => nthAddress("10.43.0.0", 1)).toThrow("IPv4 network");
  expect(() => nthAddress("10.43.0.300/16", 1)).toThrow("IPv4 network");
});

test("a port range is two ports in order", () => {
  expect(parsePortRange("30000-32767")).toEqual({ first: 30_000, last: 32_767 });
  for (const wrong of ["30000", "5-4", "0-10", "1-70000", "a-b"])
    expect(() => parsePortRange(wrong)).toThrow("FIRST-LAST");
});
