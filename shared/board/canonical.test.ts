import { expect, test } from "bun:test";
import { canonicalAddress, canonicalNetwork } from "./cidr.ts";

test("an address is no network", () => {
  expect(canonicalAddress("010.42.0.1")).toBe("10.42.0.1");
  expect(canonicalAddress("10.42.0.1/32")).toBeUndefined();
});

test("networks begin at their first address", () => {
  for (const [text, form] of [
    ["10.42.1.5/16", "10.42.0.0/16"],
    ["010.0.0.0/8", "10.0.0.0/8"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["FD42::1/64", "fd42::/64"],
    ["::ffff:10.1.2.3/112", "10.1.0.0/16"],
    ["::/0", "::/0"],
    ["10.42.1.5/32", "10.42.1.5/32"],
  ] as const)
    expect(canonicalNetwork(text)).toBe(form);
  for (const text of ["10.42.0.0", "10.42.0.0/33", "10.42.0.0/", "10.42.0.0/-1", "odd/8", "fd42::/129", "10.0.0.0/8/8"])
    expect(canonicalNetwork(text)).toBeUndefined();
});
