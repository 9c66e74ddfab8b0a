/**
 * A board's service proxy in a process of its own, in the board's network namespace: `bun board.ts MODE`. Each line of JSON
 * on its input is what Services and EndpointSlices there are now; it answers once they work.
 */
import { createInterface } from "node:readline";
import { HealthChecks, serviceHealth } from "#agent/proxy/health-checks.ts";
import type { ProxyNetwork } from "#agent/proxy/proxy-mode.ts";
import { ServicePortCache } from "#agent/proxy/service-ports.ts";
import { type ProxyModeName, proxyMode } from "#agent/proxy/service-proxy.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { stderrLog } from "#shared/client/log.ts";

export interface BoardState {
  readonly id: number;
  readonly services: readonly Service[];
  readonly slices: Readonly<Record<string, readonly EndpointSlice[]>>;
}

const networks: Readonly<Record<string, ProxyNetwork>> = {
  IPv4: {
    family: "IPv4",
    clusterCidr: "10.42.0.0/16",
    serviceCidrs: ["10.43.0.0/16"],
    ownClusterIps: new Set(["10.43.0.10"]),
  },
  IPv6: {
    family: "IPv6",
    clusterCidr: "fd42::/56",
    serviceCidrs: ["fd43::/112"],
    ownClusterIps: new Set(["fd43::a"]),
  },
};

const [modeName = "iptables", family = "IPv4"] = process.argv.slice(2);
const network = networks[family];
if (!network) throw new Error(`no such family: ${family}`);
const log = stderrLog("info");
const mode = await proxyMode(modeName as ProxyModeName, { network, log });
const health = new HealthChecks(log, () => true);
const cache = new ServicePortCache(() => undefined);
const node = { name: "one", zone: "attic" };

process.stdout.write(`${JSON.stringify({ id: 0 })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const { id, services, slices } = JSON.parse(line) as BoardState;
  const slicesOf = ({ metadata }: Service): readonly EndpointSlice[] => slices[metadata.name ?? ""] ?? [];
  try {
    await mode.apply(await cache.servicePorts(services, slicesOf, node, network.family));
    health.serve(serviceHealth(services, slicesOf, node.name));
    process.stdout.write(`${JSON.stringify({ id })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ id, error: String(error) })}\n`);
  }
}
await mode.stop();
process.exit();
