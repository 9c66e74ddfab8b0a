import { spawn } from "node:child_process";
import type { ServicePort } from "./service-ports.ts";

/** A UDP flow that the kernel would go on sending to where the rules no longer point. */
export interface StaleFlow {
  /** The address the client used; undefined: any (node ports). */
  readonly originalIp: string | undefined;
  readonly originalPort: number;
  /** The endpoint it went to; undefined: none was there, so the flow holds no translation. */
  readonly endpointIp: string | undefined;
}

/** Connectionless flows have no end, so conntrack keeps their translation: those of endpoints that are gone, and those
 *  that began while a Service had none. */
export function staleFlows(previous: readonly ServicePort[], next: readonly ServicePort[]): StaleFlow[] {
  const flows: StaleFlow[] = [];
  const later = new Map(next.map((port) => [`${port.id}/${port.protocol}`, port]));
  for (const before of previous) {
    if (before.protocol !== "UDP") continue;
    const after = later.get(`${before.id}/UDP`);
    const kept = new Set(after?.clusterEndpoints.map((endpoint) => endpoint.ip));
    for (const { ip } of before.clusterEndpoints) {
      if (!kept.has(ip)) flows.push(...entrances(before).map((entrance) => ({ ...entrance, endpointIp: ip })));
    }
    if (after && !before.hasAnyEndpoint && after.hasAnyEndpoint) {
      flows.push(...entrances(after).map((entrance) => ({ ...entrance, endpointIp: undefined })));
    }
  }
  return flows;
}

function entrances(port: ServicePort): { originalIp: string | undefined; originalPort: number }[] {
  const ips = [port.clusterIp, ...port.externalIps, ...port.loadBalancerIps];
  return [
    ...ips.map((originalIp) => ({ originalIp, originalPort: port.port })),
    ...(port.nodePort === undefined ? [] : [{ originalIp: undefined, originalPort: port.nodePort }]),
  ];
}

/** Deletes the flow's entries with the `conntrack` program. No entries is no error. */
export function deleteFlow(flow: StaleFlow, prefix: readonly string[] = []): Promise<void> {
  const words = ["-D", "-p", "udp", "--orig-port-dst", String(flow.originalPort)];
  if (flow.originalIp !== undefined) words.push("--orig-dst", flow.originalIp);
  if (flow.endpointIp !== undefined) words.push("--dst-nat", flow.endpointIp);
  const [command = "conntrack", ...args] = [...prefix, "conntrack", ...words];
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0 || stderr.includes("0 flow entries have been deleted")) resolve();
      else reject(new Error(`conntrack ${words.join(" ")} failed with ${code}: ${stderr.trim()}`));
    });
  });
}
