import { expect, test } from "bun:test";
import { familyOf, hostNetwork, udpTypeOf } from "./ip-family.ts";

test("addresses and networks are told apart by family", () => {
  expect(["10.0.0.1", "0.0.0.0/0", "::", "fd00::1", "fd00::/64", "::ffff:10.0.0.1"].map(familyOf)).toEqual([
    "IPv4",
    "IPv4",
    "IPv6",
    "IPv6",
    "IPv6",
    "IPv6",
  ]);
  expect(["10.0.0.1", "fd00::1"].map(hostNetwork)).toEqual(["10.0.0.1/32", "fd00::1/128"]);
  expect(["10.0.0.1", "fd00::1"].map(udpTypeOf)).toEqual(["udp4", "udp6"]);
});
