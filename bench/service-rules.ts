/**
 * What Service rules cost a board: the first sync, one change, a sync in which nothing changed, and whether a flow that is
 * open lives through many syncs. Works in a network namespace of its own; needs root.
 *   bun bench/service-rules.ts [--services 1000] [--endpoints 10] [--syncs 1000]
 */
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { parseArgs, promisify } from "node:util";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { stderrLog } from "#shared/client/log.ts";
import { IptablesMode } from "../agent/proxy/iptables/iptables-mode.ts";
import { ServicePortCache } from "../agent/proxy/service-ports.ts";

const { values } = parseArgs({
  options: {
    services: { type: "string", default: "1000" },
    endpoints: { type: "string", default: "10" },
    syncs: { type: "string", default: "1000" },
  },
});
const [serviceCount, endpointCount, syncCount] = [values.services, values.endpoints, values.syncs].map(Number) as [
  number,
  number,
  number,
];
if (!process.env["BENCH_NAMESPACE"]) inNamespaceOfItsOwn();

function inNamespaceOfItsOwn(): never {
  const name = `rules-${process.pid}`;
  execFileSync("ip", ["netns", "add", name]);
  try {
    const words = [`--net=/run/netns/${name}`, process.execPath, ...process.argv.slice(1)];
    execFileSync("nsenter", words, { stdio: "inherit", env: { ...process.env, BENCH_NAMESPACE: name } });
  } finally {
    execFileSync("ip", ["netns", "del", name]);
  }
  process.exit();
}

const network = {
  family: "IPv4" as const,
  clusterCidr: "10.42.0.0/16",
  serviceCidrs: ["10.43.0.0/16"],
  ownClusterIps: new Set<string>(),
};
const node = { name: "pi-1", zone: undefined };
const at = (index: number): string => `${index >> 8}.${index & 255}`;

const services: Service[] = [];
const slices = new Map<string, EndpointSlice[]>();
for (let index = 0; index < serviceCount; index++) {
  const metadata = { namespace: "bench", name: `s${index}` };
  const spec = { clusterIP: `10.43.${at(index + 256)}`, ports: [{ port: 80, protocol: "TCP" }] };
  services.push({ apiVersion: "v1", kind: "Service", metadata, spec } as Service);
  const endpoints = Array.from({ length: endpointCount }, (_, e) => ({
    addresses: [`10.42.${at(index * endpointCount + e + 256)}`],
    nodeName: "pi-2",
    conditions: { ready: true },
  }));
  slices.set(`bench/s${index}`, [slice(metadata.name, endpoints, 8080)]);
}

function slice(service: string, endpoints: EndpointSlice["endpoints"], port: number): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: "bench", name: service, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    endpoints,
    ports: [{ port, protocol: "TCP" }],
  } as EndpointSlice;
}

const cache = new ServicePortCache(() => undefined);
const mode = new IptablesMode({ network, log: stderrLog("info") });
const log = stderrLog("info");

/** Applies the present state, and says how long that took and the longest turn of the event loop in it. */
async function sync(): Promise<{ readonly took_ms: number; readonly turn_ms: number }> {
  let [turn_ms, last] = [0, performance.now()];
  const timer = setInterval(() => {
    turn_ms = Math.max(turn_ms, performance.now() - last);
    last = performance.now();
  }, 1);
  await Bun.sleep(20);
  [turn_ms, last] = [0, performance.now()];
  const began = performance.now();
  const slicesOf = ({ metadata }: Service): EndpointSlice[] => slices.get(`bench/${metadata.name}`) ?? [];
  await mode.apply(await cache.servicePorts(services, slicesOf, node, "IPv4"));
  const took_ms = performance.now() - began;
  await Bun.sleep(2);
  clearInterval(timer);
  return { took_ms, turn_ms };
}

async function show(what: string): Promise<void> {
  const { took_ms, turn_ms } = await sync();
  console.log(`${what}: ${took_ms.toFixed(0)} ms, longest turn ${turn_ms.toFixed(1)} ms`);
}

const ip = (...words: string[]): void => void execFileSync("ip", words);
ip("link", "set", "lo", "up");
ip("address", "add", "10.42.1.0/32", "dev", "lo");
ip("route", "add", "10.43.0.0/16", "dev", "lo");
// The first program that a process starts costs it 15 ms; in an agent that was long before.
await promisify(execFile)("true");
await show(`first sync of ${serviceCount} Services with ${endpointCount} endpoints each`);
await show("nothing changed");
const scale = (endpoints: number): void => {
  const all = whole?.[0]?.endpoints ?? [];
  slices.set("bench/s7", [slice("s7", all.slice(0, endpoints), 8080)]);
};
const whole = slices.get("bench/s7");
scale(endpointCount - 1);
await show("one endpoint fewer");
scale(endpointCount);
await show("one endpoint more");
scale(0);
await show("the last endpoint of a Service gone");
scale(endpointCount);
await sync();

if (syncCount > 0) {
  // The first endpoint of s0 is this namespace's own address; an echo stands there.
  slices.set("bench/s0", [
    slice("s0", [{ addresses: ["10.42.1.0"], nodeName: "pi-1", conditions: { ready: true } }], 8080),
  ]);
  await sync();
  const echo = createServer((socket) => socket.pipe(socket)).listen(8080, "10.42.1.0");
  await once(echo, "listening");
  const client = connect(80, "10.43.1.0").setEncoding("utf8");
  let [answered, sync_ms] = [0, 0];
  for (let index = 0; index < syncCount; index++) {
    scale(endpointCount - (index % 2));
    sync_ms += (await sync()).took_ms;
    client.write(`${index}\n`);
    const [answer] = await once(client, "data");
    if (answer === `${index}\n`) answered++;
  }
  console.log(
    `a flow through ${syncCount} syncs that each changed a Service: ${answered} answers; a sync took ${(sync_ms / syncCount).toFixed(0)} ms`,
  );
  client.destroy();
  echo.close();
}
const began = performance.now();
const next = new IptablesMode({ network, log });
const again = new ServicePortCache(() => undefined);
await next.apply(
  await again.servicePorts(services, ({ metadata }) => slices.get(`bench/${metadata.name}`) ?? [], node, "IPv4"),
);
console.log(`a new start over rules that are there: ${(performance.now() - began).toFixed(0)} ms`);
