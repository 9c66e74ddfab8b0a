import { expect, test } from "bun:test";
import { parsePortRange } from "./networks.ts";

test("a port range is two ports in order", () => {
  expect(parsePortRange("30000-32767")).toEqual({ first: 30_000, last: 32_767 });
  for (const wrong of ["30000", "5-4", "0-10", "1-70000", "a-b"])
    expect(() => parsePortRange(wrong)).toThrow("FIRST-LAST");
});
