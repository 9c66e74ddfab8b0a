/**
 * Who writes to the card of an idle worker under systemd: an emulated Debian 13 that is joined to a master on boards of namespaces,
 * 10 pods probed by exec twice every 10 s, then flash-writers.sh in it for BENCH_SECONDS (600) from BENCH_SETTLE seconds (180) after
 * the pods were ready: as the distribution ships it, and again after each line of BENCH_THEN, which is a shell's line for the guest, with
 * BENCH_SETTLE between. Prints flash-writers.sh's reports. BENCH_PODS is another number of pods. Builds on dist/; root; a network of
 * its own; what tools/test-guest.sh needs.
 */
import { join } from "node:path";

process.env["BRAMBLE_E2E_GUESTS"] = "1";
const { startCluster, webApp } = await import("../test/e2e/board-cluster.ts");

const seconds = Number(process.env["BENCH_SECONDS"] ?? 600);
const settle_s = Number(process.env["BENCH_SETTLE"] ?? 180);
const pods = Number(process.env["BENCH_PODS"] ?? 10);
const steps = ["", ...(process.env["BENCH_THEN"] ?? "").split("\n").filter((line) => line !== "")];
const script = join(import.meta.dir, "flash-writers.sh");

const it = await startCluster({
  name: "writes",
  network: process.env["BENCH_NETWORK"] ?? "10.208",
  workers: 1,
  takesGuests: true,
});
try {
  const [deployment, service] = webApp("web", pods) as [
    { spec: { template: { spec: { containers: object[] } } } },
    object,
  ];
  const [container] = deployment.spec.template.spec.containers;
  // Long enough that an emulated machine makes none of them fail: a failure is an Event and a status, and so a write.
  const probe = { exec: { command: ["true"] }, periodSeconds: 10, timeoutSeconds: 120, failureThreshold: 10 };
  deployment.spec.template.spec.containers = [{ ...container, readinessProbe: probe, livenessProbe: probe }];
  it.apply([deployment, service]);
  await it.until(new RegExp(`^${pods}$`), "get", "deployment/web", "-o", "jsonpath={.status.readyReplicas}");
  const worker = it.cluster.host("worker-1");
  for (const step of steps) {
    if (step !== "") {
      console.log(`\n# then: ${step}`);
      const { exitCode, stdout, stderr } = Bun.spawnSync({ cmd: worker.inside(["sh", "-c", step]), stdin: "ignore" });
      console.log(`${stdout}${stderr}(${exitCode})`);
    }
    // What follows a start is not idle.
    await Bun.sleep(settle_s * 1000);
    const measuring = Bun.spawn({
      cmd: worker.inside(["sh", "-s", String(seconds)]),
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
