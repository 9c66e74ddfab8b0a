import { expect, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import { advertisedAddress, OwnAddress } from "./own-address.ts";

function follow(...found: (readonly string[])[]) {
  const settings = { advertiseAddress: found[0]?.[0] ?? "", nodeIp: "", clusterCidr: "10.42.0.0/16" };
  let at = 0;
  const address = new OwnAddress(settings, silentLog, () => ({ address: found[at]?.[0], all: found[at] ?? [] }));
  const told: string[] = [];
  return {
    address,
    told,
    next: () => {
      at++;
      return address.changed();
    },
  };
}

test("a new address is told with the former one, in the order of who asked", async () => {
  const { address, told, next } = follow(["192.0.2.1"], ["192.0.2.7"]);
  address.onChange(async (now, before) => void told.push(`first ${before} ${now}`));
  address.onChange((now) => void told.push(`second ${now} ${address.current}`));
  await next();
  expect(told).toEqual(["first 192.0.2.1 192.0.2.7", "second 192.0.2.7 192.0.2.7"]);
});

test("what has not changed is not told, and a further address is", async () => {
  const { address, told, next } = follow(["192.0.2.1"], ["192.0.2.1"], ["192.0.2.1", "2001:db8::1"]);
  address.onChange((now) => void told.push(now));
  await next();
  expect(told).toEqual([]);
  await next();
  expect(told).toEqual(["192.0.2.1"]);
});

test("without any address the last one counts, until the board has one again", async () => {
  const { address, told, next } = follow(["192.0.2.1"], [], ["192.0.2.1"], [], ["192.0.2.9"]);
  address.onChange((now) => void told.push(now));
  for (let i = 0; i < 3; i++) {
    await next();
    expect(address.current).toBe("192.0.2.1");
  }
  await next();
  expect(told).toEqual(["192.0.2.9"]);
});

test("who fails keeps no other from going on", async () => {
  const { address, told, next } = follow(["192.0.2.1"], ["192.0.2.7"]);
  address.onChange(() => Promise.reject(new Error("no")));
  address.onChange((now) => void told.push(now));
  await next();
  expect(told).toEqual(["192.0.2.7"]);
});

test("a board without an address of the cluster's family is told what to do", () => {
  const settings = { advertiseAddress: "", nodeIp: "", clusterCidr: "10.42.0.0/16" };
  const start = (...all: string[]) => advertisedAddress(settings, () => ({ address: undefined, all }));
  expect(() => start()).toThrow("this board has no IPv4 address yet: connect it, or name one with --advertise-address");
  expect(() => start("fd00::5")).toThrow(
    "no IPv4 address yet, only fd00::5: connect it, or name one with --advertise-address; or, for a new cluster that goes by that, give --cluster-cidr fd42::/56 --service-cidr fd43::/112",
  );
});

test.each(["127.0.0.1", "::1", "0.0.0.0", "169.254.1.2", "fe80::1", "pi.local", "10.0.0"])(
  "%s is no address to advertise",
  (advertiseAddress) => {
    const settings = { advertiseAddress, nodeIp: "", clusterCidr: "10.42.0.0/16" };
    expect(() => advertisedAddress(settings)).toThrow(
      `advertise-address: expected an address at which other boards reach this one, got ${advertiseAddress}`,
    );
  },
);
