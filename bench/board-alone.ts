/**
 * Boots a board while its master is away: how long until its 10 pods serve, and how long Docker alone takes to start as
 * many containers. Builds on dist/ (`npm run build x64`); root; a network of its own.
 */

import { waitFor } from "#tools/local-cluster/run.ts";
import { startCluster, webApp } from "../test/e2e/board-cluster.ts";

const podCount = 10;
const it = await startCluster({ name: "alone", workers: 1 });
try {
  it.apply(webApp("web", podCount));
  await it.until(
    (output) => output.trim() === String(podCount),
    "get",
    "deployment/web",
    "-o",
    "jsonpath={.status.readyReplicas}",
  );
  const [master, worker] = [it.cluster.host("master-1"), it.cluster.host("worker-1")];
  const docker = (...args: string[]): string => worker.exec(["docker", "-H", "unix:///run/docker.sock", ...args]);
  // What a board has heard in the last seconds before a cut may not be on its card yet.
  await Bun.sleep(10_000);
  await master.cut();
  for (let round = 0; round < Number(process.env["BENCH_ROUNDS"] ?? 2); round++) {
    await worker.cut();
    await worker.powerOn();
    const began_ms = performance.now();
    worker.startBramble();
    const passed = (): number => Math.round(performance.now() - began_ms);
    const serving = (): number => {
      const ids = docker("ps", "-q", "--filter", "label=io.kubernetes.container.name=web").trim().split("\n");
      return ids.filter((id) => {
        try {
          return id !== "" && docker("exec", id, "wget", "-qO-", "http://127.0.0.1:8080/") !== "";
        } catch {
          return false;
        }
      }).length;
    };
    await waitFor("the first container", 120, () => docker("ps", "-q").trim() !== "" || undefined);
    const first_ms = passed();
    await waitFor(
      "all containers",
      120,
      () => docker("ps", "-q").trim().split("\n").length >= 2 * podCount || undefined,
    );
    const all_ms = passed();
    await waitFor("all pods to serve", 120, () => serving() === podCount || undefined);
    console.log(JSON.stringify({ round, first_ms, all_ms, serving_ms: passed() }));
    if (round === 0) console.log(worker.log(60));
  }
  // Docker alone: a sandbox and a container for each pod, as many at once as processors.
  const image =
    docker("ps", "--format", "{{.Image}}", "--filter", "label=io.kubernetes.container.name=web").split("\n")[0] ?? "";
  await worker.stopBramble("SIGTERM");
  docker("rm", "-f", ...docker("ps", "-aq").trim().split("\n"));
  const began_ms = performance.now();
  const script = `for i in $(seq ${podCount}); do (a=$(docker -H unix:///run/docker.sock run -d --network none ${image} sleep 99); docker -H unix:///run/docker.sock run -d --network container:$a ${image} sleep 99) >/dev/null & done; wait`;
  worker.exec(["sh", "-c", script]);
  console.log(JSON.stringify({ docker_ms: Math.round(performance.now() - began_ms) }));
} finally {
  await it.stop();
}
process.exit(0);
