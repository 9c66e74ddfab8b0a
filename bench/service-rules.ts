/**
 * What Service rules cost a board: the first sync, one change, a sync in which nothing changed, and whether a flow that is
 * open lives through many syncs. Works in a network namespace of its own; needs root.
 *   bun bench/service-rules.ts [--services 1000] [--endpoints 10] [--syncs 1000]
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { Iptables, type Ruleset, renderChanges } from "node-iptables";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { planServiceRules, proxyHooks } from "../agent/proxy/plan.ts";
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
const name = `rules-${process.pid}`;
const inside = (...words: string[]): string =>
  execFileSync("nsenter", [`--net=/run/netns/${name}`, ...words], { encoding: "utf8", maxBuffer: 2 ** 28 });

const network = {
  family: "IPv4" as const,
  clusterCidr: "10.42.0.0/16",
  serviceCidr: "10.43.0.0/16",
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

const cache = new ServicePortCache();
const plan = (): Ruleset =>
  planServiceRules(
    cache.servicePorts(services, ({ metadata }) => slices.get(`bench/${metadata.name}`) ?? [], node, "IPv4"),
    network,
  );

interface Sync {
  readonly rules: Ruleset;
  readonly plan_ms: number;
  readonly render_ms: number;
  readonly apply_ms: number;
  readonly text_bytes: number;
}

async function sync(iptables: Iptables, previous: Ruleset): Promise<Sync> {
  const began = performance.now();
  const rules = plan();
  const planned = performance.now();
  const text = renderChanges(previous, rules);
  const rendered = performance.now();
  await iptables.restore(text);
  const applied = performance.now();
  return {
    rules,
    plan_ms: planned - began,
    render_ms: rendered - planned,
    apply_ms: applied - rendered,
    text_bytes: text.length,
  };
}

const show = (what: string, { plan_ms, render_ms, apply_ms, text_bytes }: Sync): void =>
  console.log(
    `${what}: plan ${plan_ms.toFixed(1)} ms, compare ${render_ms.toFixed(1)} ms, apply ${apply_ms.toFixed(0)} ms, ${text_bytes} bytes of rules`,
  );

execFileSync("ip", ["netns", "add", name]);
try {
  inside("ip", "link", "set", "lo", "up");
  inside("ip", "address", "add", "10.42.1.0/32", "dev", "lo");
  inside("ip", "route", "add", "10.43.0.0/16", "dev", "lo");
  const iptables = new Iptables({ prefix: ["nsenter", `--net=/run/netns/${name}`] });
  const first = await sync(iptables, {});
  for (const { table, chain, rule } of proxyHooks) await iptables.ensureRule(table, chain, rule, "first");
  show(`first sync of ${serviceCount} Services with ${endpointCount} endpoints each`, first);
  let last = await sync(iptables, first.rules);
  show("nothing changed", last);

  const scale = (endpoints: number): void => {
    const all = slices.get("bench/s7")?.[0]?.endpoints ?? [];
    slices.set("bench/s7", [slice("s7", all.slice(0, endpoints), 8080)]);
  };
  const whole = slices.get("bench/s7");
  scale(endpointCount - 1);
  last = await sync(iptables, last.rules);
  show("one endpoint fewer", last);
  if (whole) slices.set("bench/s7", whole);
  last = await sync(iptables, last.rules);

  if (syncCount > 0) {
    // The first endpoint of s0 is this namespace's own address; an echo stands there.
    slices.set("bench/s0", [
      slice("s0", [{ addresses: ["10.42.1.0"], nodeName: "pi-1", conditions: { ready: true } }], 8080),
    ]);
    last = await sync(iptables, last.rules);
    const echo = Bun.spawn({
      cmd: ["nsenter", `--net=/run/netns/${name}`, "busybox", "nc", "-ll", "-p", "8080", "-e", "cat"],
    });
    await Bun.sleep(500);
    const client = Bun.spawn({
      cmd: ["nsenter", `--net=/run/netns/${name}`, "busybox", "nc", "10.43.1.0", "80"],
      stdin: "pipe",
      stdout: "pipe",
    });
    const reader = client.stdout.getReader();
    let [answered, sync_ms] = [0, 0];
    for (let index = 0; index < syncCount; index++) {
      scale(endpointCount - (index % 2));
      if (whole && index % 2 === 0) slices.set("bench/s7", whole);
      const began = performance.now();
      last = await sync(iptables, last.rules);
      sync_ms += performance.now() - began;
      client.stdin.write(`${index}\n`);
      await client.stdin.flush();
      const { value, done } = await reader.read();
      if (done) break;
      if (Buffer.from(value).toString().includes(String(index))) answered++;
    }
    console.log(
      `a flow through ${syncCount} syncs that each changed a Service: ${answered} answers; a sync took ${(sync_ms / syncCount).toFixed(0)} ms`,
    );
    client.kill();
    echo.kill();
  }
} finally {
  execFileSync("ip", ["netns", "del", name]);
}
