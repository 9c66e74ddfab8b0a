import { describe, expect, test } from "bun:test";
import { readDnsSettings, usualDnsSettings, zoneOf } from "./dns-settings.ts";

const read = (data: Record<string, string>): ReturnType<typeof readDnsSettings> => readDnsSettings({ data });

describe("DNS settings", () => {
  test("without a ConfigMap are the usual ones", () => {
    expect(readDnsSettings(undefined)).toEqual({ settings: usualDnsSettings, problems: [] });
    expect(read({ README: "forward . 1.2.3.4" })).toEqual({ settings: usualDnsSettings, problems: [] });
  });
  test("a server block is a zone with servers of its own", () => {
    const { settings, problems } = read({
      "corp.server": `
        # two zones
        corp.example:53 "10.in-addr.arpa" {
          errors
          cache 120
          forward . 10.0.0.1 10.0.0.2:5353 [fd00::1]:54 {
            policy sequential
          }
        }`,
    });
    expect(problems).toEqual([]);
    const zone = zoneOf(settings, "build.corp.example");
    expect(zone.longestLife_s).toBe(120);
    expect(zone.upstreams).toEqual([
      { address: "10.0.0.1", port: 53 },
      { address: "10.0.0.2", port: 5353 },
      { address: "fd00::1", port: 54 },
    ]);
    expect(zoneOf(settings, "7.0.0.10.in-addr.arpa")).toEqual(zone);
    expect(zoneOf(settings, "example")).toBe(settings.others);
    expect(zoneOf(settings, "notcorp.example")).toBe(settings.others);
  });
  test("an override holds for all names", () => {
    const { settings } = read({
      "one.override": "forward . 9.9.9.9",
      "two.override":
        "hosts {\n 192.0.2.7 nas nas.lan.\n ttl 10\n fallthrough\n}\nkubernetes cluster.local {\n ttl 60\n}",
    });
    expect(settings.ttl_s).toBe(60);
    expect(settings.others).toMatchObject({ upstreams: [{ address: "9.9.9.9", port: 53 }], hostsTtl_s: 10 });
    expect([...settings.others.hosts]).toEqual([
      ["nas", ["192.0.2.7"]],
      ["nas.lan", ["192.0.2.7"]],
    ]);
    const hosts = "hosts {\n 192.0.2.7 nas\n no_reverse\n}";
    expect(read({ "a.override": hosts })).toMatchObject({
      settings: { others: { hostsReverse: false } },
      problems: [],
    });
    expect(read({ "a.override": "forward . /etc/resolv.conf" }).settings.others.upstreams).toBeUndefined();
  });
  test("what is wrong is named and left out; the rest holds", () => {
    const { settings, problems } = read({
      "a.override": "rewrite name a b\nforward . tls://9.9.9.9 8.8.8.8\ncache soon",
      "b.server": "corp.example {\n forward . 10.0.0.1",
      "c.server": "forward . 10.0.0.1",
    });
    expect(settings.others.upstreams).toEqual([{ address: "8.8.8.8", port: 53 }]);
    expect(problems).toEqual([
      'a.override: "rewrite" is not there in Bramble\'s DNS',
      'a.override: forward: "tls://9.9.9.9" is no address of a DNS server',
      'a.override: cache: "soon" is no number of seconds',
      'b.server: a "}" is missing',
      'c.server: expected "ZONE {", found "forward . 10.0.0.1"',
    ]);
  });
});
