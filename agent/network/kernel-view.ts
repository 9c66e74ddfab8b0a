import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { containerInterface, tunnelDevice } from "./route-plan.ts";

/**
 * What this board's routes rest on and consist of, as the kernel shows it without a program being started: the
 * addresses of its interfaces, and its routing tables. Equal texts: nobody has changed anything.
 */
export async function kernelView(): Promise<string> {
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    containerInterface.test(name) ? [] : entries.map(({ cidr }) => `${name} ${cidr}`),
  );
  return JSON.stringify([addresses.sort(), await routes(), await routesOfV6()]);
}

/** Bridges of pods and containers come and go with those, and with them the routes to their own subnets. */
const isOurs = (device: string): boolean => device === tunnelDevice || !containerInterface.test(device);

async function routes(): Promise<string> {
  const lines = (await readFile("/proc/net/route", "utf8")).trim().split("\n");
  return lines.filter((line) => isOurs(line.split("\t")[0] ?? "")).join("\n");
}

/** Without counters, and what the kernel itself keeps for each interface. */
async function routesOfV6(): Promise<string> {
  // A kernel without IPv6 has no such file.
  const text = await readFile("/proc/net/ipv6_route", "utf8").catch(() => "");
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/));
  return lines
    .filter(([destination = "", , , , , , , , , device = "lo"]) => !/^f[ef]/.test(destination) && isOurs(device))
    .map(([destination, length, , , via, , , , , device]) => `${destination}/${length} ${via} ${device}`)
    .join("\n");
}
