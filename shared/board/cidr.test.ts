import { describe, expect, test } from "bun:test";
import { contains, formatCidrAddress, parseCidr, plainForm } from "./cidr.ts";

describe("networks", () => {
  test.each([
    ["10.42.1.0/24", "10.42.1.0", 24],
    ["fd42:0:0::7/64", "fd42::7", 64],
    ["192.0.2.1", "192.0.2.1", 32],
    ["0.0.0.0/0", "0.0.0.0", 0],
  ])("%s", (text, address, prefix) => {
    const parsed = parseCidr(text);
    if (!parsed) throw new Error(`${text} is none`);
    expect([formatCidrAddress(parsed), parsed.prefix]).toEqual([address, prefix]);
  });

  test.each([
    "",
    "10.42.0.0/",
    "10.42.0.0/33",
    "10.42.0.0/ 8",
    "10.42.0.0/0x8",
    "10.42.0.0/1e1",
    "10.42.0.0/16/16",
    "::/129",
    "box/24",
  ])("%p is none", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  test("contain addresses of their family alone", () => {
    const within = (network: string, address: string): boolean | undefined => {
      const [outer, inner] = [parseCidr(network), parseCidr(address)];
      return outer && inner && contains(outer, inner);
    };
    expect(within("10.42.0.0/16", "10.42.255.1")).toBe(true);
    expect(within("10.42.0.0/16", "10.43.0.1")).toBe(false);
    expect(within("0.0.0.0/0", "fd42::1")).toBe(false);
  });
});

describe("sloppy forms of API fields", () => {
  test.each([
    ["10.0.0.1", "10.0.0.1"],
    ["010.00.000.001", "10.0.0.1"],
    ["010.0.0.0/08", "10.0.0.0/8"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::FFFF:010.0.0.0/104", "10.0.0.0/8"],
    ["::ffff:a00:1", "10.0.0.1"],
    ["0:0:0:0:0:ffff:a00:0/104", "10.0.0.0/8"],
    ["::ffff:10", "::ffff:10"],
    ["FD00:0:0::1", "fd00::1"],
    ["fd00::/8", "fd00::/8"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["::/0", "::/0"],
  ])("%s is %s", (text, plain) => expect(plainForm(text)).toBe(plain));

  test.each([
    "",
    "10.0.0",
    "10.0.0.256",
    "host",
    "10.0.0.1/33",
    "10.0.0.1/x",
    "10.0.0.0/",
    "10.0.0.0/1e1",
    "010.0.0.0/",
    "::ffff:0:0/95",
    "::ffff:10.0.0.1/95",
    "fe80::1%eth0",
  ])("%p is none", (text) => expect(plainForm(text)).toBeUndefined());
});
