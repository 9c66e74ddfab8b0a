/**
 * What an idle cluster writes: one master with an agent and two workers, 10 pods probed by exec. Prints for each process
 * what it wrote (`write_bytes`) and spent on the processor over BENCH_SECONDS. Builds on dist/; root; a network of its own.
 */
import { readdirSync, readFileSync } from "node:fs";
import { startCluster, webApp } from "../test/e2e/board-cluster.ts";

const seconds = Number(process.env["BENCH_SECONDS"] ?? 600);
const it = await startCluster({
  name: "idle",
  network: process.env["BENCH_NETWORK"] ?? "10.208",
  workers: 2,
  masterAgent: true,
});
try {
  const [deployment, service] = webApp("web", 10) as [
    { spec: { template: { spec: { containers: object[] } } } },
    object,
  ];
  const [container] = deployment.spec.template.spec.containers;
  const probe = { exec: { command: ["true"] }, periodSeconds: 10 };
  deployment.spec.template.spec.containers = [{ ...container, readinessProbe: probe, livenessProbe: probe }];
  it.apply([deployment, service]);
  await it.until(/^10$/, "get", "deployment/web", "-o", "jsonpath={.status.readyReplicas}");
  // What follows a start is not idle.
  await Bun.sleep(Number(process.env["BENCH_SETTLE"] ?? 120) * 1000);
  const processes = it.cluster.hosts.map((host) => ({ name: host.board.name, pid: host.bramblePid ?? 0 }));
  const before = processes.map(({ pid }) => used(pid));
  const docker = dockerds();
  const dockerBefore = docker.map(({ pid }) => used(pid));
  await Bun.sleep(seconds * 1000);
  const perHour = 3600 / seconds;
  const tell = (name: string, pid: number, old: Used): void => {
    const now = used(pid);
    const written = now.written_bytes - old.written_bytes;
    console.log(
      JSON.stringify({
        name,
        written_bytes: written,
        perHour_kB: Math.round((written * perHour) / 1024),
        cpu_percent: Math.round(((now.cpu_ticks - old.cpu_ticks) / seconds) * 100) / 100,
        rss_MB: now.rss_MB,
      }),
    );
  };
  for (const [index, { name, pid }] of processes.entries()) tell(name, pid, before[index] as Used);
  for (const [index, { name, pid }] of docker.entries()) tell(name, pid, dockerBefore[index] as Used);
} finally {
  await it.stop();
}
process.exit(0);

interface Used {
  readonly written_bytes: number;
  readonly cpu_ticks: number;
  readonly rss_MB: number;
}

/** With all threads. Ticks are hundredths of a second. */
function used(pid: number): Used {
  const number = (file: string, pattern: RegExp): number =>
    Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? 0);
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return {
    written_bytes: number("io", /^write_bytes: (\d+)$/m),
    cpu_ticks: Number(stat[11]) + Number(stat[12]),
    rss_MB: Math.round(number("status", /^VmRSS:\s+(\d+)/m) / 1024),
  };
}

/** dockerd and containerd of this cluster's boards. */
function dockerds(): { name: string; pid: number }[] {
  const found: { name: string; pid: number }[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const [program = ""] = command.split(" ");
      if (
        /(^|\/)(dockerd|containerd)$/.test(program) &&
        readFileSync(`/proc/${pid}/mountinfo`, "utf8").includes("bramble-idle")
      )
        found.push({ name: program, pid: Number(pid) });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
