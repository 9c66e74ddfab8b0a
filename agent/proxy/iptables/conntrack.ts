import { IptablesError, runProgram } from "node-iptables";
import type { IpFamily } from "#shared/net/ip-family.ts";
import type { Endpoint, ServicePort } from "../service-ports.ts";

/** A UDP flow as the kernel tracks it. */
export interface TrackedFlow {
  readonly source: string;
  readonly sourcePort: number;
  /** Where the client sent it. */
  readonly destination: string;
  readonly destinationPort: number;
  /** Who answers: the endpoint, or the destination itself where nothing was translated. */
  readonly answeredBy: string;
  readonly answeringPort: number;
}

/** Reads what `conntrack -L -p udp` prints; lines of another form are left out. */
export function parseFlows(text: string): TrackedFlow[] {
  return text.split("\n").flatMap((line): TrackedFlow[] => {
    const values = (key: string): string[] =>
      [...line.matchAll(new RegExp(`\\b${key}=(\\S+)`, "g"))].map((found) => found[1] ?? "");
    const [source, answeredBy] = values("src");
    const [destination] = values("dst");
    const [sourcePort, answeringPort] = values("sport");
    const [destinationPort] = values("dport");
    if (!source || !answeredBy || !destination || !sourcePort || !answeringPort || !destinationPort) return [];
    return [
      {
        source,
        sourcePort: Number(sourcePort),
        destination,
        destinationPort: Number(destinationPort),
        answeredBy,
        answeringPort: Number(answeringPort),
      },
    ];
  });
}

/**
 * Flows to a Service that go to none of its endpoints. UDP has no end that the kernel could see, so it keeps the
 * translation while the client goes on sending: to an endpoint that is gone, to a port that the Service no longer leads
 * to, or to none, where the flow began before there was one.
 */
export function staleFlows(
  flows: readonly TrackedFlow[],
  ports: readonly ServicePort[],
  boardIps: readonly string[],
): TrackedFlow[] {
  const byEntrance = new Map<string, Set<string>>();
  for (const port of ports) {
    if (port.protocol !== "UDP") continue;
    const endpoints = new Set([...port.clusterEndpoints, ...port.localEndpoints].map(addressOf));
    for (const ip of [port.clusterIp, ...port.externalIps, ...port.loadBalancerIps])
      byEntrance.set(`${ip}|${port.port}`, endpoints);
    if (port.nodePort === undefined) continue;
    for (const ip of boardIps) byEntrance.set(`${ip}|${port.nodePort}`, endpoints);
  }
  return flows.filter((flow) => {
    const endpoints = byEntrance.get(`${flow.destination}|${flow.destinationPort}`);
    return endpoints !== undefined && !endpoints.has(addressOf({ ip: flow.answeredBy, port: flow.answeringPort }));
  });
}

const addressOf = ({ ip, port }: Pick<Endpoint, "ip" | "port">): string => `${ip}|${port}`;

/** What of the Service ports decides which UDP flows are stale. */
export function udpFacts(ports: readonly ServicePort[]): string {
  const facts = ports
    .filter(({ protocol }) => protocol === "UDP")
    .map(({ clusterIp, externalIps, loadBalancerIps, port, nodePort, clusterEndpoints, localEndpoints }) => [
      [clusterIp, ...externalIps, ...loadBalancerIps],
      port,
      nodePort,
      clusterEndpoints.map(addressOf),
      localEndpoints.map(addressOf),
    ]);
  return facts.length === 0 ? "" : JSON.stringify(facts);
}

/** The kernel's table of flows, by the program `conntrack`. */
export class ConnectionTracking {
  constructor(
    private readonly family: IpFamily,
    private readonly prefix: readonly string[] = [],
  ) {}

  async udpFlows(): Promise<TrackedFlow[]> {
    const family = this.family === "IPv6" ? "ipv6" : "ipv4";
    return parseFlows(await runProgram(this.prefix, "conntrack", ["-L", "-p", "udp", "-f", family]));
  }

  /** One that has ended by itself meanwhile is no error. */
  async delete(flow: TrackedFlow): Promise<void> {
    const words = ["-D", "-p", "udp", "-s", flow.source, "-d", flow.destination];
    const ports = ["--sport", String(flow.sourcePort), "--dport", String(flow.destinationPort)];
    try {
      await runProgram(this.prefix, "conntrack", [...words, ...ports]);
    } catch (error) {
      if (!(error instanceof IptablesError && error.stderr.includes("0 flow entries"))) throw error;
    }
  }
}
