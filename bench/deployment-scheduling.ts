/**
 * How long a Deployment takes until all its pods are bound, on boards that exist only as Nodes: Bramble's scheduler and
 * controllers, and upstream's, in turn over the same API server (`bramble apiserver` on a store of its own, on loopback).
 *   bun bench/deployment-scheduling.ts [--pods 100] [--boards 20] [--runs 5] [--binary dist/bramble-linux-x64]
 *     [--upstream ~/.cache/cluster-exam/bin]   # kube-scheduler and kube-controller-manager, as test/conformance builds them
 */

import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { deployments, leases, nodes, pods } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { until } from "#shared/testing/until.ts";

const { values } = parseArgs({
  options: {
    pods: { type: "string", default: "100" },
    boards: { type: "string", default: "20" },
    runs: { type: "string", default: "5" },
    binary: { type: "string", default: resolve(import.meta.dir, "../dist/bramble-linux-x64") },
    upstream: { type: "string", default: join(homedir(), ".cache/cluster-exam/bin") },
  },
});
const [podCount, boardCount, runs] = [Number(values.pods), Number(values.boards), Number(values.runs)];
const folder = mkdtempSync(join(tmpdir(), "bramble-bench-"));
const file = (name: string): string => join(folder, name);

function start(name: string, cmd: readonly string[]): Bun.Subprocess {
  const log = openSync(file(`${name}.log`), "a");
  return Bun.spawn({ cmd: [...cmd], stdin: "ignore", stdout: log, stderr: log });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

/** Seconds of CPU that a process has used, all threads. */
function cpu_s(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function resident_mb(pid: number): number {
  const [, kb = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kb) / 1024);
}

const kubeconfig = (name: string): string => file(`data/kubeconfigs/${name}.yaml`);
const authority = [
  `--cluster-signing-cert-file=${file("data/pki/ca.crt")}`,
  `--cluster-signing-key-file=${file("data/pki/ca.key")}`,
  `--root-ca-file=${file("data/pki/ca.crt")}`,
  `--service-account-private-key-file=${file("data/pki/service-account.key")}`,
];
const upstreamCommands = (...limits: string[]): readonly [string, readonly string[]][] => [
  [
    "scheduler",
    [join(values.upstream, "kube-scheduler"), `--kubeconfig=${kubeconfig("scheduler")}`, "--secure-port=0", ...limits],
  ],
  [
    "controller-manager",
    [
      join(values.upstream, "kube-controller-manager"),
      `--kubeconfig=${kubeconfig("controller-manager")}`,
      "--use-service-account-credentials=true",
      "--secure-port=0",
      ...limits,
      ...authority,
    ],
  ],
];
const sides: Readonly<Record<string, () => readonly [string, readonly string[]][]>> = {
  bramble: () => [
    ["scheduler", [values.binary, "scheduler", `--kubeconfig=${kubeconfig("scheduler")}`]],
    [
      "controller-manager",
      [values.binary, "controller-manager", `--kubeconfig=${kubeconfig("controller-manager")}`, ...authority],
    ],
  ],
  upstream: () => upstreamCommands(),
  "upstream without its limits of requests": () => upstreamCommands("--kube-api-qps=5000", "--kube-api-burst=5000"),
};

async function startApi(): Promise<{ readonly client: HttpClient; readonly process: Bun.Subprocess }> {
  const [port, mqttPort] = [await freePort(), await freePort()];
  writeFileSync(file("none.yaml"), "");
  const process = start("apiserver", [
    values.binary,
    "apiserver",
    `--config=${file("none.yaml")}`,
    `--data-dir=${file("data")}`,
    `--run-dir=${file("run")}`,
    `--write-kubeconfig=${file("admin.yaml")}`,
    `--secure-port=${port}`,
    `--mqtt-port=${mqttPort}`,
  ]);
  const client = await until("the API server", async () => {
    const { servers, credentials } = loadKubeconfig(file("admin.yaml"));
    const found = new HttpClient({ servers, credentials });
    await found.raw({ method: "GET", path: "/readyz" });
    return existsSync(kubeconfig("proxy")) ? found : undefined;
  });
  for (let index = 0; index < boardCount; index++) {
    const allocatable = { cpu: "4", memory: "4Gi", pods: "110" };
    await client.create(nodes, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: `hollow-${index}`, labels: { "kubernetes.io/hostname": `hollow-${index}` } },
      spec: {},
      status: { allocatable, capacity: allocatable, conditions: [{ type: "Ready", status: "True" }] },
    });
  }
  return { client, process };
}

interface Run {
  readonly bound_s: number;
  readonly half_s: number;
}

async function measure(client: HttpClient, name: string): Promise<Run> {
  const key = { namespace: "default", name };
  const labels = { app: name };
  const ending = new AbortController();
  const bound = new Set<string>();
  const began_ms = performance.now();
  let half_s = 0;
  const all = (async () => {
    for await (const { type, object } of client.watch(pods, { sendInitialEvents: true, signal: ending.signal })) {
      if (type === "BOOKMARK" || !object.spec?.nodeName || object.metadata.labels?.["app"] !== name) continue;
      bound.add(object.metadata.uid ?? "");
      if (bound.size === Math.ceil(podCount / 2)) half_s ||= (performance.now() - began_ms) / 1000;
      if (bound.size === podCount) return (performance.now() - began_ms) / 1000;
    }
    throw new Error("the watch ended");
  })();
  await client.create(deployments, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: key,
    spec: {
      replicas: podCount,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          // Nodes without a kubelet are soon tainted.
          tolerations: [{ operator: "Exists" }],
          containers: [{ name: "c", image: "none", resources: { requests: { cpu: "10m", memory: "10Mi" } } }],
        },
      },
    },
  });
  const bound_s = await all;
  ending.abort();
  await client.delete(deployments, key, { propagationPolicy: "Background" });
  await until("an empty namespace", async () => {
    const { items } = await client.list(pods, { namespace: "default" });
    // What a kubelet does.
    await Promise.all(
      items.map(({ metadata: { name: pod = "", namespace } }) =>
        client.delete(pods, { namespace, name: pod }, { gracePeriodSeconds: 0 }).catch(() => undefined),
      ),
    );
    return items.length === 0 ? true : undefined;
  });
  return { bound_s, half_s };
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
const api = await startApi();
try {
  for (const [side, commands] of Object.entries(sides)) {
    const prefix = side.replaceAll(" ", "-");
    const running = commands().map(([name, cmd]) => ({ name, process: start(`${prefix}-${name}`, cmd) }));
    await until("both Leases", async () => {
      const { items } = await api.client.list(leases, { namespace: "kube-system" });
      const held = items.filter(({ spec }) => spec?.holderIdentity).map(({ metadata }) => metadata.name);
      return held.includes("kube-scheduler") && held.includes("kube-controller-manager") ? true : undefined;
    });
    // The first one shows that they work, and is not counted.
    await measure(api.client, `${prefix}-warm`);
    const before = running.map(({ process }) => cpu_s(process.pid));
    const measured: Run[] = [];
    for (let run = 0; run < runs; run++) measured.push(await measure(api.client, `${prefix}-${run}`));
    const used = running.map(({ name, process }, index) => {
      const spent_s = (cpu_s(process.pid) - (before[index] ?? 0)) / runs;
      return `${name} ${spent_s.toFixed(2)} s CPU a run, ${resident_mb(process.pid)} MB resident`;
    });
    const all_s = measured.map(({ bound_s }) => bound_s);
    console.log(
      `${side}: ${podCount} pods on ${boardCount} boards, all bound after ${median(all_s).toFixed(2)} s ` +
        `(${all_s.map((one) => one.toFixed(2)).join(", ")}), half after ${median(measured.map(({ half_s }) => half_s)).toFixed(2)} s; ` +
        `${used.join("; ")}; load ${loadavg()[0]?.toFixed(1)}`,
    );
    for (const { process } of running) process.kill("SIGTERM");
    await Promise.all(running.map(({ process }) => process.exited));
    // Upstream gives its Leases up late.
    for (const name of ["kube-scheduler", "kube-controller-manager"])
      await api.client.delete(leases, { namespace: "kube-system", name }).catch(() => undefined);
  }
} finally {
  api.process.kill("SIGTERM");
  await api.process.exited;
  rmSync(folder, { recursive: true, force: true });
}
