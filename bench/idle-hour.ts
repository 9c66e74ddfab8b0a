/**
 * What an idle cluster costs: one master with an agent and two workers, 10 pods probed by exec twice every 10 s. Samples each
 * process every minute over BENCH_SECONDS (an hour) from BENCH_SETTLE seconds after the pods were ready: bytes that it had the
 * kernel write to the disk (`write_bytes`), processor time of all its threads, resident memory. Writes
 * bench/results/idle-hour.json (BENCH_RESULT) and prints a line a process. BENCH_NO_AGENT=1 has the master run no agent. BENCH_ETCD=1 keeps the state in Bramble's own etcd, with
 * BENCH_MASTERS members, and counts its changes. Builds on dist/; root; a network of its own.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startCluster, type TestCluster, webApp } from "../test/e2e/board-cluster.ts";

const seconds = Number(process.env["BENCH_SECONDS"] ?? 3600);
const settle_s = Number(process.env["BENCH_SETTLE"] ?? 120);
const result = process.env["BENCH_RESULT"] ?? join(import.meta.dir, "results/idle-hour.json");
const sampleEvery_s = 60;
const MB = 1024 * 1024;

interface Sample {
  readonly second: number;
  readonly load: number;
  readonly used: Readonly<Record<string, Used>>;
}

interface Used {
  readonly written_bytes: number;
  /** Hundredths of a second. */
  readonly cpu_ticks: number;
  readonly rss_MB: number;
  readonly pss_MB: number;
}

const it = await startCluster({
  name: "idle",
  workers: 2,
  masters: Number(process.env["BENCH_MASTERS"] ?? 1),
  etcd: process.env["BENCH_ETCD"] === "1",
  masterAgent: process.env["BENCH_NO_AGENT"] !== "1",
});
try {
  const [deployment, service] = webApp("web", 10) as [
    { spec: { template: { spec: { containers: object[] } } } },
    object,
  ];
  const [container] = deployment.spec.template.spec.containers;
  // Long enough that a machine with other work makes none of them fail: a failure is an Event and a status, and so a write.
  const probe = { exec: { command: ["true"] }, periodSeconds: 10, timeoutSeconds: 30 };
  deployment.spec.template.spec.containers = [{ ...container, readinessProbe: probe, livenessProbe: probe }];
  it.apply([deployment, service]);
  await it.until(/^10$/, "get", "deployment/web", "-o", "jsonpath={.status.readyReplicas}");
  // What follows a start is not idle.
  await Bun.sleep(settle_s * 1000);
  const pids = new Map(it.cluster.hosts.map((host) => [host.board.name, host.bramblePid ?? 0]));
  for (const [index, { name, pid }] of otherPrograms(it.cluster.dir).entries()) pids.set(`${name} ${index + 1}`, pid);
  const revision = it.cluster.hasEtcd ? revisionOf(it) : 0;
  const began_ms = performance.now();
  const samples: Sample[] = [];
  for (let second = 0; second <= seconds; second += sampleEvery_s) {
    await Bun.sleep(Math.max(0, began_ms + second * 1000 - performance.now()));
    samples.push({
      second,
      load: Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]),
      used: Object.fromEntries([...pids].map(([name, pid]) => [name, used(pid)])),
    });
  }
  const processes = [...pids.keys()].map((name) => summary(name, samples));
  for (const line of processes) console.log(JSON.stringify(line));
  const changes = it.cluster.hasEtcd ? revisionOf(it) - revision : 0;
  if (changes > 0) console.log(JSON.stringify({ name: "changes in etcd", perHour: (changes * 3600) / seconds }));
  const loads = samples.map(({ load }) => load);
  const report = {
    seconds,
    settle_s,
    version: it.cluster
      .host("master-1")
      .exec([it.cluster.host("master-1").binary, "--version"])
      .trim(),
    load: { least: Math.min(...loads), most: Math.max(...loads) },
    processes,
    samples,
  };
  writeFileSync(result, `${JSON.stringify(report, undefined, 1)}\n`);
} finally {
  await it.stop();
}
process.exit(0);

function revisionOf(it: TestCluster): number {
  const [member] = JSON.parse(it.cluster.etcdctl("endpoint", "status", "--write-out=json")) as [
    { Status: { header: { revision: number } } },
  ];
  return member.Status.header.revision;
}

function summary(name: string, samples: readonly Sample[]): object {
  const of = samples.flatMap(({ used }) => used[name] ?? []);
  const [first, last] = [of[0], of.at(-1)];
  if (!first || !last) throw new Error(`${name} was never seen`);
  return {
    name,
    written_kB: Math.round((last.written_bytes - first.written_bytes) / 1024),
    cpu_percent: Math.round(((last.cpu_ticks - first.cpu_ticks) / seconds) * 100) / 100,
    rss_MB: { first: first.rss_MB, last: last.rss_MB, most: Math.max(...of.map(({ rss_MB }) => rss_MB)) },
    pss_MB: { first: first.pss_MB, last: last.pss_MB },
  };
}

/** With all threads. */
function used(pid: number): Used {
  const number = (file: string, pattern: RegExp): number =>
    Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? 0);
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return {
    written_bytes: number("io", /^write_bytes: (\d+)$/m),
    cpu_ticks: Number(stat[11]) + Number(stat[12]),
    rss_MB: Math.round((number("status", /^VmRSS:\s+(\d+)/m) * 1024) / MB),
    pss_MB: Math.round((number("smaps_rollup", /^Pss:\s+(\d+)/m) * 1024) / MB),
  };
}

/** etcd, dockerd and containerd of this cluster's boards. */
function otherPrograms(dir: string): { name: string; pid: number }[] {
  const found: { name: string; pid: number }[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [program = ""] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const name = /(?:^|\/)(etcd|dockerd|containerd)$/.exec(program)?.[1];
      if (name && readFileSync(`/proc/${pid}/mountinfo`, "utf8").includes(dir)) found.push({ name, pid: Number(pid) });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
