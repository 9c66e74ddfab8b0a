import { expect, test } from "bun:test";
import { type BoardNetwork, planRoutes, type RoutedNode } from "./route-plan.ts";

function node(name: string, podCIDRs: string[], ...addresses: string[]): RoutedNode {
  return {
    metadata: { name },
    spec: { podCIDRs },
    status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
  };
}

const self: BoardNetwork = {
  nodeName: "a",
  interfaces: [
    { name: "lo", addresses: ["127.0.0.1/8"], mtu: 1500 },
    { name: "docker0", addresses: ["172.17.0.1/16"], mtu: 1500 },
    { name: "eth0", addresses: ["192.168.1.10/24", "fd01::10/64"], mtu: 1500 },
    { name: "bramble0", addresses: ["10.42.0.1/24"], mtu: 1500 },
  ],
};
const a = node("a", ["10.42.0.0/24"], "192.168.1.10");

test("a board on the same LAN is reached by a host route, in both families", () => {
  const b = node("b", ["10.42.1.0/24", "fd42:1::/64"], "192.168.1.11", "fd01::11");
  expect(planRoutes([b, a], self)).toEqual({
    routes: [
      { cidr: "10.42.1.0/24", via: "192.168.1.11", device: "eth0", onlink: false },
      { cidr: "fd42:1::/64", via: "fd01::11", device: "eth0", onlink: false },
    ],
    tunnel: undefined,
    problems: [],
  });
});

test("a board in another subnet is reached through the tunnel; its end computes the same MACs", () => {
  const b = node("b", ["10.42.1.0/24"], "192.168.2.11");
  const here = planRoutes([a, b], self);
  expect(here.routes).toEqual([{ cidr: "10.42.1.0/24", via: "10.42.1.0", device: "bramble.vxlan", onlink: true }]);
  const there = planRoutes([a, b], {
    nodeName: "b",
    interfaces: [{ name: "wlan0", addresses: ["192.168.2.11/24"], mtu: 1500 }],
  });
  expect(here.tunnel).toMatchObject({ localAddress: "192.168.1.10", parentDevice: "eth0", addresses: ["10.42.0.0"] });
  expect(there.tunnel?.mac).toBe(here.tunnel?.peers[0]?.mac ?? "none");
  expect(here.tunnel?.mac).toBe(there.tunnel?.peers[0]?.mac ?? "none");
});

test("a cluster that is IPv6 first has its tunnel over IPv6, for pods of both families", () => {
  const six = { ...self, family: "IPv6" } as const;
  const own = node("a", ["fd42:0:0:1::/64", "10.42.0.0/24"], "fd01::10", "192.168.1.10");
  const b = node("b", ["fd42:0:0:2::/64", "10.42.1.0/24"], "fd02::11");
  const plan = planRoutes([own, b], six);
  expect(plan.problems).toEqual([]);
  expect(plan.routes.map(({ cidr, via, device }) => [cidr, via, device])).toEqual([
    ["fd42:0:0:2::/64", "fd42:0:0:2::", "bramble.vxlan"],
    ["10.42.1.0/24", "10.42.1.0", "bramble.vxlan"],
  ]);
  // The outer header is 20 bytes longer.
  expect(plan.tunnel).toMatchObject({ localAddress: "fd01::10", parentDevice: "eth0", mtu: 1430 });
  expect(plan.tunnel?.peers.map(({ nodeAddress }) => nodeAddress)).toEqual(["fd02::11", "fd02::11"]);
  const onlyFour = planRoutes([own, node("c", ["fd42:0:0:3::/64"], "192.168.2.12")], six);
  expect(onlyFour.problems).toEqual([expect.stringContaining("no IPv6 address for a tunnel")]);
});

test("container bridges do not make a board a neighbour", () => {
  const b = node("b", ["10.42.1.0/24"], "172.17.0.5");
  expect(planRoutes([a, b], self).tunnel?.peers).toHaveLength(1);
});

test("boards without pod CIDR or address are left out; one that cannot be reached is named", () => {
  const fresh = node("b", [], "192.168.1.11");
  const nowhere = node("c", ["10.42.2.0/24"]);
  const foreign = node("d", ["10.42.3.0/24"], "fd09::1");
  const plan = planRoutes([a, fresh, nowhere, foreign], self);
  expect(plan.routes).toEqual([]);
  expect(plan.problems).toHaveLength(1);
  expect(plan.problems[0]).toContain("node d");
});

test("the plan does not depend on the order of nodes", () => {
  const nodes = ["b", "c", "d"].map((name, i) => node(name, [`10.42.${i + 1}.0/24`], `192.168.${i}.11`));
  expect(planRoutes([...nodes, a], self)).toEqual(planRoutes([a, ...nodes.reverse()], self));
});

test("a node whose networks or addresses cannot be read keeps no other from being reached", () => {
  const odd = node("odd", ["Odd[ *", "10.042.9.0/24"], "pi.local", "192.168.1.99");
  const b = node("b", ["FD42:0:1::/64"], "FD01:0::11");
  expect(planRoutes([a, odd, b], self)).toEqual({
    routes: [
      { cidr: "fd42:0:1::/64", via: "fd01::11", device: "eth0", onlink: false },
      { cidr: "10.42.9.0/24", via: "192.168.1.99", device: "eth0", onlink: false },
    ],
    tunnel: undefined,
    problems: ["pods of node odd: Odd[ * is no network"],
  });
});
