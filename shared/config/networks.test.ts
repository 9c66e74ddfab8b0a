import { expect, test } from "bun:test";
import {
  assertSamePrimary,
  assertServiceClusterIpRange,
  dnsAddress,
  nthAddress,
  parseNetworks,
  proxyNetworks,
} from "./networks.ts";

test("a cluster has one network or one of each family", () => {
  expect(parseNetworks("cluster-cidr", "10.42.0.0/16")).toEqual([{ family: "IPv4", cidr: "10.42.0.0/16" }]);
  expect(parseNetworks("cluster-cidr", "10.42.0.0/16, fd42::/56")).toEqual([
    { family: "IPv4", cidr: "10.42.0.0/16" },
    { family: "IPv6", cidr: "fd42::/56" },
  ]);
  expect(parseNetworks("cluster-cidr", "fd42::/56,10.42.0.0/16").map(({ family }) => family)).toEqual(["IPv6", "IPv4"]);
  expect(parseNetworks("cluster-cidr", "fd42::/56")).toEqual([{ family: "IPv6", cidr: "fd42::/56" }]);
});

test("addresses of a network are counted from its first", () => {
  expect(nthAddress("10.43.0.0/16", 1)).toBe("10.43.0.1");
  expect(nthAddress("192.168.0.0/24", 255)).toBe("192.168.0.255");
  expect(nthAddress("fd43::/112", 1)).toBe("fd43::1");
  expect(nthAddress("fd43:0:0:1::/64", 10)).toBe("fd43:0:0:1::a");
  for (const wrong of ["10.43.0.0", "10.43.0.300/16", "10.43.0.0/31", "fd43::/128"])
    expect(() => nthAddress(wrong, 10)).toThrow("expected a network");
});

test("DNS is asked at the tenth address of Services, unless another is set", () => {
  expect(dnsAddress({ clusterDns: "", serviceCidr: "10.43.0.0/16,fd43::/112" })).toBe("10.43.0.10");
  expect(dnsAddress({ clusterDns: "", serviceCidr: "fd43::/112,10.43.0.0/16" })).toBe("fd43::a");
  expect(dnsAddress({ clusterDns: "10.43.0.53", serviceCidr: "10.43.0.0/16" })).toBe("10.43.0.53");
});

test("a network of Services may be small, though not too small for what every cluster has", () => {
  expect(dnsAddress({ clusterDns: "", serviceCidr: "10.43.0.0/28" })).toBe("10.43.0.10");
  expect(dnsAddress({ clusterDns: "", serviceCidr: "10.43.0.0/29" })).toBe("10.43.0.6");
  expect(dnsAddress({ clusterDns: "", serviceCidr: "fd43::/125" })).toBe("fd43::6");
  for (const serviceCidr of ["10.43.0.0/30", "fd43::/126"])
    expect(() => dnsAddress({ clusterDns: "", serviceCidr })).toThrow("must be at least 8 IP addresses");
});

test("an address in a network stands for the network", () => {
  expect(parseNetworks("service-cidr", "10.43.7.9/16,fd43::5/112").map(({ cidr }) => cidr)).toEqual([
    "10.43.0.0/16",
    "fd43::/112",
  ]);
});

test("kube-apiserver's own setting is refused in its words", () => {
  for (const good of ["10.0.0.0/29", "10.0.0.0/8", "10.0.0.1/24", "10.0.0.0/16,fd00::/127"])
    expect(() => assertServiceClusterIpRange(good)).not.toThrow();
  const few = "the service cluster IP range must be at least 8 IP addresses";
  const refusals: [string, string][] = [
    ["x", "service-cluster-ip-range[0] is not a valid cidr"],
    ["10.0.0.0/33", "service-cluster-ip-range[0] is not a valid cidr"],
    ["10.0.0.0/30", `error determining service IP ranges for primary service cidr: ${few}`],
    ["10.0.0.0/16,x", "service-cluster-ip-range[1] is not an ip net"],
    ["10.0.0.0/16,fd00::/112,fd01::/112", "--service-cluster-ip-range must not contain more than two entries"],
    [
      "10.0.0.0/16,10.1.0.0/16",
      "--service-cluster-ip-range[0] and --service-cluster-ip-range[1] must be of different IP family",
    ],
  ];
  for (const [text, why] of refusals) expect(() => assertServiceClusterIpRange(text)).toThrow(why);
});

test("pods and Services have the same first family", () => {
  assertSamePrimary({ clusterCidr: "fd42::/56,10.42.0.0/16", serviceCidr: "fd43::/112" });
  expect(() => assertSamePrimary({ clusterCidr: "fd42::/56", serviceCidr: "10.43.0.0/16" })).toThrow("must be IPv6");
});

test("what cannot be is refused in plain words", () => {
  const refusals: [string, string][] = [
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
