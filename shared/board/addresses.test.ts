import { expect, test } from "bun:test";
import {
  boardAddresses,
  defaultRouteInterface,
  defaultRouteInterfaceV6,
  inet6Flags,
  lastingOrder,
  mainOfEachFamily,
  orderAddresses,
} from "./addresses.ts";

const on = (interfaceName: string, address: string) => ({ interfaceName, address, isIpv4: !address.includes(":") });
const all = [
  on("wlan0", "192.168.7.9"),
  on("eth0", "fd00::2"),
  on("eth0", "192.168.1.5"),
  on("cni0", "10.42.0.1"),
  on("eth0", "fe80::1"),
  on("eth1", "169.254.3.4"),
];

test("the default route's IPv4 address is the main one; bridges and link-local ones are none", () => {
  expect(orderAddresses(all, "eth0")).toEqual(["192.168.1.5", "192.168.7.9", "fd00::2"]);
  expect(orderAddresses(all, "eth0", { family: "IPv6" })).toEqual(["fd00::2", "192.168.1.5", "192.168.7.9"]);
  expect(orderAddresses(all, undefined)).toEqual(["192.168.7.9", "192.168.1.5", "fd00::2"]);
});

test("preferred addresses come first where the board has them", () => {
  expect(orderAddresses(all, "eth0", { preferred: "192.168.7.9" })[0]).toBe("192.168.7.9");
  expect(orderAddresses(all, "eth0", { preferred: "FD00:0::2" })[0]).toBe("fd00::2");
  expect(orderAddresses(all, "eth0", { preferred: "192.0.2.1" })[0]).toBe("192.168.1.5");
  expect(orderAddresses(all, "eth0", { preferred: "192.168.7.9,fd00::2" })).toEqual([
    "192.168.7.9",
    "fd00::2",
    "192.168.1.5",
  ]);
});

test("a named address is the board's although it would pass over it, whatever blanks stand around it", () => {
  expect(boardAddresses()).not.toContain("127.0.0.1");
  expect(boardAddresses({ preferred: "192.0.2.1, 127.0.0.1" })[0]).toBe("127.0.0.1");
});

test("of several default routes the one with the lowest metric counts", () => {
  const head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
  const table = `${head}\nwlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\neth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n`;
  expect(defaultRouteInterface(table)).toBe("eth0");
  expect(defaultRouteInterface(head)).toBeUndefined();
});

test("of IPv6 the default route leads out, and its addresses stand in an order that stays", () => {
  const zero = "0".repeat(32);
  const route = (to: string, metric: string, flags: string, device: string): string =>
    `${to} 00 ${zero} 00 ${zero} ${metric} 00000001 00000000 ${flags}     ${device}`;
  const table = [
    route(zero, "ffffffff", "00200200", "lo"),
    route(zero, "00000400", "00450003", "wlan0"),
    route(zero, "00000064", "00450003", "eth0"),
  ].join("\n");
  expect(defaultRouteInterfaceV6(table)).toBe("eth0");
  expect(defaultRouteInterfaceV6("")).toBeUndefined();
  const inet6 = [
    "fd000000000000000000000000000002 02 40 00 80     eth0",
    "fd00000000000000a1b2000000000003 02 40 00 01     eth0",
    "fd000000000000000000000000000004 02 40 00 20     eth0",
  ].join("\n");
  const flags = inet6Flags(inet6);
  expect(flags).toEqual(
    new Map([
      ["fd00::2", 0x80],
      ["fd00::a1b2:0:0:3", 0x01],
      ["fd00::4", 0x20],
    ]),
  );
  const kernels = ["fd00::5", "fd00::4", "fd00::2", "192.168.1.5"].map((address) => ({ address }));
  const lasting = ["192.168.1.5", "fd00::2", "fd00::4", "fd00::5"];
  expect(lastingOrder(kernels, flags).map(({ address }) => address)).toEqual(lasting);
});

test("a pod has at most one address of its host of each family", () => {
  expect(mainOfEachFamily(["192.168.1.5", "192.168.7.9", "fd00::2", "fd00::3"])).toEqual(["192.168.1.5", "fd00::2"]);
  expect(mainOfEachFamily(["fd00::2", "fd00::3"])).toEqual(["fd00::2"]);
  expect(mainOfEachFamily([])).toEqual([]);
});

test("this machine's addresses can be read", () => {
  expect(Array.isArray(boardAddresses())).toBe(true);
});
