import { expect, test } from "bun:test";
import { notedLog } from "#shared/testing/noted-log.ts";
import { nodeAddresses } from "./node-addresses.ts";

test("a named address that the board does not have is told of once, and when it has come", () => {
  const { log, lines, fields } = notedLog();
  let has = ["192.168.1.5"];
  const look = nodeAddresses({ nodeIp: "192.168.7.9", family: "IPv4", log }, () => has);
  for (let i = 0; i < 3; i++) expect(look()).toEqual(["192.168.1.5"]);
  expect(lines).toEqual(["warn failed to validate nodeIP"]);
  expect(fields[0]).toMatchObject({
    addresses: "192.168.1.5",
    error: new Error('node IP: "192.168.7.9" not found in the host\'s network interfaces'),
  });
  has = ["192.168.7.9", "192.168.1.5"];
  expect(look()).toEqual(has);
  expect(lines.slice(1)).toEqual(["info the board has the address that node-ip names"]);
});

test("nothing is told where none is named, of any that is there, and of those that stand for a family", () => {
  const { log, lines } = notedLog();
  for (const nodeIp of ["", "192.168.1.5", "192.168.1.5, FD00:0::2", "0.0.0.0", "::"])
    nodeAddresses({ nodeIp, family: "IPv4", log }, () => ["192.168.1.5", "fd00::2"])();
  expect(lines).toEqual([]);
});

test("addresses by which nobody else reaches the board are refused in upstream's words, once", () => {
  for (const [nodeIp, why] of [
    ["127.0.0.1", "nodeIP can't be loopback address"],
    ["::1", "nodeIP can't be loopback address"],
    ["224.0.0.1", "nodeIP can't be a multicast address"],
    ["ff02::1", "nodeIP can't be a multicast address"],
    ["169.254.3.4", "nodeIP can't be a link-local unicast address"],
    ["fe80::1", "nodeIP can't be a link-local unicast address"],
    ["pi.local", "nodeIP must be a valid IP address"],
  ] as const) {
    const { log, lines, fields } = notedLog();
    const look = nodeAddresses({ nodeIp, family: "IPv4", log });
    for (let i = 0; i < 2; i++) expect(look()).not.toContain(nodeIp);
    expect(lines).toEqual(["warn failed to validate nodeIP"]);
    expect(fields[0]).toMatchObject({ error: new Error(why) });
  }
});

test("more than one address of a family is refused as upstream's kubelet refuses it", () => {
  const { log } = notedLog();
  const look = (nodeIp: string) => () => nodeAddresses({ nodeIp, family: "IPv4", log }, () => []);
  const pair = "must contain either a single IP or a dual-stack pair of IPs";
  expect(look("192.0.2.1,192.0.2.2")).toThrow(`bad --node-ip "192.0.2.1,192.0.2.2": ${pair}`);
  expect(look("fd00::1,fd00::2")).toThrow(pair);
  expect(look("192.0.2.1,fd00::1,fd00::2")).toThrow(pair);
  expect(look("192.0.2.1,::")).toThrow("dual-stack node IP cannot include '0.0.0.0' or '::'");
});
