import { describe, expect, test } from "bun:test";
import { renderChanges } from "node-iptables";
import type { ServicePort } from "../service-ports.ts";
import { EndpointChoice } from "./endpoint-choice.ts";
import { planPortals, portalRules, preferredPort } from "./portals.ts";

const here = { ip: "10.42.1.5", port: 8080, local: true };
const there = { ip: "10.42.2.5", port: 8080, local: false };
const port: ServicePort = {
  id: "shop/web:http",
  protocol: "TCP",
  port: 80,
  clusterIp: "10.43.0.7",
  externalIps: [],
  loadBalancerIps: [],
  loadBalancerSourceRanges: [],
  nodePort: undefined,
  affinity_s: undefined,
  internalLocal: false,
  externalLocal: false,
  clusterEndpoints: [here, there],
  localEndpoints: [here],
  hasAnyEndpoint: true,
};
const network = {
  family: "IPv4" as const,
  clusterCidr: "10.42.0.0/16",
  serviceCidrs: ["10.43.0.0/16"],
  ownClusterIps: new Set(["10.43.0.10"]),
};

describe("portals", () => {
  test("one relay serves all entrances of the same policy", () => {
    const { relays, portals } = planPortals(
      [{ ...port, nodePort: 30080, externalIps: ["198.51.100.7"] }],
      ["192.0.2.1"],
    );
    expect(relays.map(({ key }) => key)).toEqual(["shop/web:http|TCP|inside", "shop/web:http|TCP|outside"]);
    expect(portals.map(({ ip, port: number, relay }) => `${ip}:${number} ${relay?.split("|")[2]}`)).toEqual([
      "10.43.0.7:80 inside",
      "198.51.100.7:80 outside",
      "192.0.2.1:30080 outside",
    ]);
  });
  test("policy Local leaves this board's endpoints to strangers, and all to pods", () => {
    const { relays } = planPortals([{ ...port, nodePort: 30080, externalLocal: true }], ["192.0.2.1"]);
    expect(relays[1]).toMatchObject({ endpoints: [here], endpointsForInside: [here, there] });
  });
  test("SCTP has no relay; TCP without endpoints leads to a closed port, UDP to the relay that waits for some", () => {
    expect(planPortals([{ ...port, protocol: "SCTP" }], [])).toEqual({ relays: [], portals: [] });
    const none = { clusterEndpoints: [], localEndpoints: [], hasAnyEndpoint: false };
    const lead = (protocol: "TCP" | "UDP"): string | undefined =>
      planPortals([{ ...port, ...none, protocol }], []).portals[0]?.relay;
    expect([lead("TCP"), lead("UDP")]).toEqual([undefined, "shop/web:http|UDP|inside"]);
  });
  test("the rules need nothing of the kernel but addresses, ports and DNAT", () => {
    const { portals } = planPortals([port], []);
    const rules = renderChanges({}, portalRules(portals, new Map([["shop/web:http|TCP|inside", 12_345]]), network));
    expect(rules.split("\n").filter((line) => line.startsWith("-A"))).toEqual([
      "-A KUBE-PORTALS -d 10.43.0.10/32 -j RETURN",
      "-A KUBE-PORTALS -d 10.43.0.7/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 169.254.43.1:12345",
      "-A KUBE-PORTALS -d 10.43.0.0/16 -p tcp -j DNAT --to-destination 169.254.43.1:1",
      "-A KUBE-PORTALS -d 10.43.0.0/16 -p udp -j DNAT --to-destination 169.254.43.1:1",
    ]);
  });
  test("a relay's port is the same at every start, and another where that one is taken", () => {
    const tries = [0, 1, 2].map((attempt) => preferredPort({ key: "shop/web:http|UDP|inside" }, attempt));
    expect(tries).toEqual([0, 1, 2].map((attempt) => preferredPort({ key: "shop/web:http|UDP|inside" }, attempt)));
    expect(new Set(tries).size).toBe(3);
    expect(tries.every((number) => number >= 10_000 && number < 30_000)).toBe(true);
  });
});

describe("the choice of an endpoint", () => {
  test("is in turn, and begins with the client's last one until its time is over", () => {
    let now_ms = 0;
    const choice = new EndpointChoice(() => now_ms);
    const first = (affinity_s?: number): unknown => choice.order([here, there], "10.42.1.9", affinity_s)[0];
    expect([first(), first(), first()]).toEqual([here, there, here]);
    choice.remember("10.42.1.9", here, 10);
    expect([first(10), first(10)]).toEqual([here, here]);
    expect(choice.order([there], "10.42.1.9", 10)).toEqual([there]);
    now_ms = 10_000;
    expect(new Set([first(10), first(10)])).toEqual(new Set([here, there]));
  });
  test("remembers a bounded number of clients", () => {
    const choice = new EndpointChoice(() => 0);
    for (let index = 0; index < 5000; index++) choice.remember(`client-${index}`, there, 10);
    const known = (client: string): boolean => [0, 1].every(() => choice.order([here, there], client, 10)[0] === there);
    expect([known("client-0"), known("client-4999")]).toEqual([false, true]);
  });
});
