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
