import { expect, test } from "bun:test";
import { parseNetworks, proxyNetworks } from "./networks.ts";

test("a cluster has one network or one of each family", () => {
  expect(parseNetworks("cluster-cidr", "10.42.0.0/16")).toEqual([{ family: "IPv4", cidr: "10.42.0.0/16" }]);
  expect(parseNetworks("cluster-cidr", "10.42.0.0/16, fd42::/56")).toEqual([
    { family: "IPv4", cidr: "10.42.0.0/16" },
    { family: "IPv6", cidr: "fd42::/56" },
  ]);
});

test("what cannot be is refused in plain words", () => {
  const refusals: [string, string][] = [
    ["fd42::/56", "the first network must be IPv4"],
    ["fd42::/56,10.42.0.0/16", "the first network must be IPv4"],
    ["10.42.0.0/16,10.44.0.0/16", "of different address families"],
    ["10.42.0.0/16,fd42::/56,fd43::/56", "one of each address family"],
    ["10.42.0.0", "expected a network"],
    ["10.42.0.0/33", "expected a network"],
    ["", "expected a network"],
  ];
  for (const [text, why] of refusals) expect(() => parseNetworks("cluster-cidr", text)).toThrow(why);
});

test("the proxy serves families that have both pods and Services", () => {
  const dns = "10.43.0.10";
  const v4 = {
    family: "IPv4" as const,
    clusterCidr: "10.42.0.0/16",
    serviceCidrs: ["10.43.0.0/16"],
    ownClusterIps: new Set([dns]),
  };
  expect(proxyNetworks("10.42.0.0/16,fd42::/56", "10.43.0.0/16", [dns])).toEqual([v4]);
  expect(proxyNetworks("10.42.0.0/16,fd42::/56", "10.43.0.0/16,fd43::/112", [dns])).toEqual([
    v4,
    { family: "IPv6", clusterCidr: "fd42::/56", serviceCidrs: ["fd43::/112"], ownClusterIps: new Set() },
  ]);
});
