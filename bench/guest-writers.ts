/**
 * Who writes to the card of an idle board under systemd: an emulated Debian 13, BENCH_PODS (10) pods on it probed twice every
 * BENCH_PERIOD seconds (10) by exec, or by HTTP with BENCH_PROBE=http, then flash-writers.sh in it for BENCH_SECONDS (600) from BENCH_SETTLE seconds (180) after the pods were ready: as the
 * distribution ships it, and again after each line of BENCH_THEN, which is a shell's line for the guest, with BENCH_SETTLE between.
 * The board is a worker whose master is a board of namespaces, or with BENCH_ROLE=master a master that runs the pods itself. Where
 * the emulated machine does not keep up with its exec probes, containerd fills the journal with that: take fewer pods, a longer
 * period, or HTTP. Prints
 * flash-writers.sh's reports. Builds on dist/ (BRAMBLE_BINARY: another build); root; a network of its own; what tools/test-guest.sh needs.
 */
import { join } from "node:path";

process.env["BRAMBLE_E2E_GUESTS"] = "1";
const { startCluster, webApp } = await import("../test/e2e/board-cluster.ts");

const seconds = Number(process.env["BENCH_SECONDS"] ?? 600);
const settle_s = Number(process.env["BENCH_SETTLE"] ?? 180);
const pods = Number(process.env["BENCH_PODS"] ?? 10);
const period_s = Number(process.env["BENCH_PERIOD"] ?? 10);
const isMaster = process.env["BENCH_ROLE"] === "master";
const steps = ["", ...(process.env["BENCH_THEN"] ?? "").split("\n").filter((line) => line !== "")];
const script = join(import.meta.dir, "flash-writers.sh");

const it = await startCluster({
  name: "writes",
  workers: isMaster ? 0 : 1,
  masterAgent: isMaster,
  guestMasters: isMaster,
  takesGuests: true,
});
try {
  const [deployment, service] = webApp("web", pods) as [
    { spec: { template: { spec: { containers: object[] } } } },
    object,
  ];
  const [container] = deployment.spec.template.spec.containers;
  // Long enough that an emulated machine makes none of them fail: a failure is an Event and a status, and so a write.
  const how =
    process.env["BENCH_PROBE"] === "http" ? { httpGet: { path: "/", port: 8080 } } : { exec: { command: ["true"] } };
  const probe = { ...how, periodSeconds: period_s, timeoutSeconds: 120, failureThreshold: 10 };
  deployment.spec.template.spec.containers = [{ ...container, readinessProbe: probe, livenessProbe: probe }];
  it.apply([deployment, service]);
  await it.until(new RegExp(`^${pods}$`), "get", "deployment/web", "-o", "jsonpath={.status.readyReplicas}");
  const board = it.cluster.host(isMaster ? "master-1" : "worker-1");
  for (const step of steps) {
    if (step !== "") {
      console.log(`\n# then: ${step}`);
      const { exitCode, stdout, stderr } = Bun.spawnSync({ cmd: board.inside(["sh", "-c", step]), stdin: "ignore" });
      console.log(`${stdout}${stderr}(${exitCode})`);
    }
    // What follows a start is not idle.
    await Bun.sleep(settle_s * 1000);
    const measuring = Bun.spawn({
      cmd: board.inside(["sh", "-s", String(seconds)]),
      stdin: Bun.file(script),
      stdout: "inherit",
      stderr: "inherit",
    });
    if ((await measuring.exited) !== 0) throw new Error("flash-writers.sh failed");
  }
  console.log(it.kubectl("get", "pods", "-o", "wide"));
} finally {
  await it.stop();
}
process.exit(0);
