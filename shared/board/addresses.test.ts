import { expect, test } from "bun:test";
import { boardAddresses, defaultRouteInterface, orderAddresses } from "./addresses.ts";

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
  expect(orderAddresses(all, "eth0")).toEqual(["192.168.1.5", "fd00::2", "192.168.7.9"]);
  expect(orderAddresses(all, undefined)).toEqual(["192.168.7.9", "192.168.1.5", "fd00::2"]);
});

test("preferred addresses come first where the board has them", () => {
  expect(orderAddresses(all, "eth0", "192.168.7.9")[0]).toBe("192.168.7.9");
  expect(orderAddresses(all, "eth0", "192.0.2.1")[0]).toBe("192.168.1.5");
  expect(orderAddresses(all, "eth0", "192.168.7.9,fd00::2")).toEqual(["192.168.7.9", "fd00::2", "192.168.1.5"]);
});

test("of several default routes the one with the lowest metric counts", () => {
  const head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
  const table = `${head}\nwlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\neth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n`;
  expect(defaultRouteInterface(table)).toBe("eth0");
  expect(defaultRouteInterface(head)).toBeUndefined();
});

test("this machine's addresses can be read", () => {
  expect(Array.isArray(boardAddresses())).toBe(true);
});
