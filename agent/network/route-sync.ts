import { hostNetwork, isIpv6 } from "#shared/net/ip-family.ts";
import { isRecord } from "./cni-config.ts";
import type { CommandRunner } from "./command.ts";
import {
  type BoardInterface,
  type PlannedRoute,
  type RoutePlan,
  type Tunnel,
  tunnelDevice,
  tunnelId,
  tunnelPort,
} from "./route-plan.ts";

/** Marks our routes in the kernel's table, so that stale ones are told from everybody else's (rtnetlink(7)). */
const routeProtocol = "66";

/** The board's interfaces with their addresses, for planRoutes. */
export async function readInterfaces(run: CommandRunner): Promise<BoardInterface[]> {
  return records(await run("ip", ["-j", "address", "show"])).map((link) => ({
    name: String(link["ifname"]),
    addresses: recordsOf(link["addr_info"]).map((entry) => `${entry["local"]}/${entry["prefixlen"]}`),
    mtu: Number(link["mtu"]),
  }));
}

/**
 * Brings the kernel to the plan: adds what is missing, takes away what is ours and no longer planned. Level-based and
 * idempotent: also after somebody else changed something, or the link was down. Rejects with CommandError.
 */
export async function applyRoutes(plan: RoutePlan, run: CommandRunner): Promise<void> {
  await applyTunnel(plan.tunnel, run);
  const present = await presentRoutes(run);
  const wanted = new Map(plan.routes.map((route) => [routeKey(route), route]));
  for (const route of present) {
    if (wanted.has(routeKey(route)) || plan.routes.some(({ cidr }) => cidr === route.cidr)) continue;
    await run("ip", [...family(route.cidr), "route", "delete", route.cidr, "proto", routeProtocol]);
  }
  const there = new Set(present.map(routeKey));
  for (const [key, route] of wanted) {
    if (there.has(key)) continue;
    const { cidr, via, device, onlink } = route;
    const target = ["via", via, "dev", device, ...(onlink ? ["onlink"] : []), "proto", routeProtocol];
    await run("ip", [...family(cidr), "route", "replace", cidr, ...target]);
  }
}

async function presentRoutes(run: CommandRunner): Promise<PlannedRoute[]> {
  const both = await Promise.all(
    ["-4", "-6"].map((flag) => run("ip", ["-j", flag, "route", "show", "table", "main", "proto", routeProtocol])),
  );
  return both.flatMap(records).map((route) => ({
    cidr: String(route["dst"]),
    via: String(route["gateway"]),
    device: String(route["dev"]),
    onlink: Array.isArray(route["flags"]) && route["flags"].includes("onlink"),
  }));
}

function routeKey({ cidr, via, device, onlink }: PlannedRoute): string {
  return `${cidr} ${via} ${device} ${onlink}`;
}

async function applyTunnel(tunnel: Tunnel | undefined, run: CommandRunner): Promise<void> {
  const present = records(await run("ip", ["-j", "-d", "link", "show", "type", "vxlan"])).find(
    (link) => link["ifname"] === tunnelDevice,
  );
  if (tunnel === undefined) {
    if (present !== undefined) await run("ip", ["link", "delete", tunnelDevice]);
    return;
  }
  if (present === undefined || !isSameTunnel(present, tunnel)) {
    if (present !== undefined) await run("ip", ["link", "delete", tunnelDevice]);
    const ends = ["local", tunnel.localAddress, "dev", tunnel.parentDevice, "dstport", String(tunnelPort)];
    const kind = ["type", "vxlan", "id", String(tunnelId), ...ends, "nolearning"];
    await run("ip", ["link", "add", tunnelDevice, "address", tunnel.mac, ...kind]);
  }
  for (const address of tunnel.addresses) {
    // Nobody else has it, and a tunnel without learning would carry no question whether somebody does.
    const whole = [hostNetwork(address), ...(isIpv6(address) ? ["nodad"] : [])];
    await run("ip", ["address", "replace", ...whole, "dev", tunnelDevice]);
  }
  await run("ip", ["link", "set", tunnelDevice, "up"]);
  await applyForwardingTable(tunnel, run);
  await applyNeighbours(tunnel, run);
}

function isSameTunnel(link: Record<string, unknown>, tunnel: Tunnel): boolean {
  const info =
    isRecord(link["linkinfo"]) && isRecord(link["linkinfo"]["info_data"]) ? link["linkinfo"]["info_data"] : {};
  return (
    link["address"] === tunnel.mac &&
    info["id"] === tunnelId &&
    // iproute2 has another name for it in IPv6.
    (info["local"] ?? info["local6"]) === tunnel.localAddress &&
    info["link"] === tunnel.parentDevice &&
    info["port"] === tunnelPort
  );
}

/** Which board a MAC is behind. */
async function applyForwardingTable(tunnel: Tunnel, run: CommandRunner): Promise<void> {
  const present = records(await run("bridge", ["-j", "fdb", "show", "dev", tunnelDevice])).filter((e) => "dst" in e);
  const key = (mac: unknown, address: unknown) => `${mac} ${address}`;
  const wanted = new Map(tunnel.peers.map((peer) => [key(peer.mac, peer.nodeAddress), peer]));
  for (const entry of present) {
    const { mac, dst } = entry;
    if (wanted.delete(key(mac, dst))) continue;
    await run("bridge", ["fdb", "delete", String(mac), "dev", tunnelDevice, "dst", String(dst)]);
  }
  for (const { mac, nodeAddress } of wanted.values()) {
    await run("bridge", ["fdb", "append", mac, "dev", tunnelDevice, "dst", nodeAddress, "permanent"]);
  }
}

/** Which MAC a gateway has: nobody is asked on the wire. */
async function applyNeighbours(tunnel: Tunnel, run: CommandRunner): Promise<void> {
  const present = records(await run("ip", ["-j", "neighbour", "show", "dev", tunnelDevice, "nud", "permanent"]));
  const wanted = new Map(tunnel.peers.map((peer) => [`${peer.gateway} ${peer.mac}`, peer]));
  for (const entry of present) {
    if (wanted.delete(`${entry["dst"]} ${entry["lladdr"]}`)) continue;
    // Replaced below when the gateway is still one of ours.
    if (tunnel.peers.some(({ gateway }) => gateway === entry["dst"])) continue;
    await run("ip", ["neighbour", "delete", String(entry["dst"]), "dev", tunnelDevice]);
  }
  for (const { gateway, mac } of wanted.values()) {
    await run("ip", ["neighbour", "replace", gateway, "lladdr", mac, "dev", tunnelDevice, "nud", "permanent"]);
  }
}

function family(cidr: string): string[] {
  return isIpv6(cidr) ? ["-6"] : ["-4"];
}

/** iproute2 says nothing at all where it has nothing to list. */
function records(json: string): Record<string, unknown>[] {
  return json.trim() === "" ? [] : recordsOf(JSON.parse(json));
}

function recordsOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
