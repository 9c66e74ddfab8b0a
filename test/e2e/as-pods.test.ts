/** The components as static pods: which there are, what they bear, and how a board becomes one process again. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { waitFor } from "#tools/local-cluster/run.ts";
import { patience_s, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(900_000);

let c: TestCluster;

beforeAll(async () => {
  c = await startCluster({
    name: "asp",
    workers: 1,
    masterAgent: true,
    etcd: true,
    masterArgs: ["--as-pods"],
  });
});
afterAll(() => c?.stop());

const controlPlane = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;
const everywhere = ["kube-dns", "kube-proxy"] as const;
const wanted = [
  ...[...controlPlane, ...everywhere].map((name) => [`${name}-master-1`, "master-1"] as const),
  ...everywhere.map((name) => [`${name}-worker-1`, "worker-1"] as const),
];

/** Until every component runs and is ready; gives the pods. */
async function allReady(): Promise<Pod[]> {
  const text = await c.until(
    (output) => {
      const { items } = JSON.parse(output) as { items: Pod[] };
      const ready = items.filter(({ status }) =>
        status.conditions?.some((each) => each.type === "Ready" && each.status === "True"),
      );
      return wanted.every(([name]) => ready.some(({ metadata }) => metadata.name === name));
    },
    ...["get", "pods", "-n", "kube-system", "-o", "json"],
  );
  return (JSON.parse(text) as { items: Pod[] }).items;
}

interface Pod {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: { readonly priorityClassName?: string; readonly containers: readonly { readonly image: string }[] };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly containerID?: string }[];
  };
}

const docker = (board: string, ...args: string[]): string =>
  c.cluster.host(board).exec(["docker", "-H", "unix:///run/docker.sock", ...args]);

const containerOf = (board: string, name: string): string =>
  docker(board, "ps", "-q", "--filter", `label=io.kubernetes.container.name=${name}`).trim();

/** The pods of the app, asked at the board's node port. */
async function servesEverywhere(): Promise<void> {
  for (const board of ["master-1", "worker-1"]) {
    const { address } = c.cluster.host(board).board;
    const end_ms = performance.now() + 120_000;
    for (;;) {
      const answer = await fetch(`http://${address}:30081/`).catch(() => undefined);
      if (answer?.ok) break;
      if (performance.now() > end_ms) throw new Error(`${board} does not serve`);
      await Bun.sleep(200);
    }
  }
}

describe("a cluster whose components are pods", () => {
  test("shows them with their boards", async () => {
    await allReady();
    const columns = "custom-columns=POD:metadata.name,NODE:spec.nodeName";
    const output = c.kubectl("get", "pod", "-o", columns, "--sort-by", "spec.nodeName", "-n", "kube-system");
    const rows = output
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/));
    expect(rows[0]).toEqual(["POD", "NODE"]);
    expect(rows.slice(1)).toEqual(expect.arrayContaining(wanted.map((row) => [...row])));
    expect(rows.slice(1).map(([, node]) => node)).toEqual(
      rows
        .slice(1)
        .map(([, node]) => node)
        .sort(),
    );
    c.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=180s");
    expect(c.kubectl("get", "node", "master-1")).toContain("control-plane");
  });

  test("as kubeadm labels them, with the priority of what a node cannot be without", async () => {
    const pods = await allReady();
    for (const name of controlPlane) {
      const pod = pods.find(({ metadata }) => metadata.name === `${name}-master-1`);
      expect(pod?.metadata.labels).toMatchObject({ component: name, tier: "control-plane" });
      expect(pod?.spec.priorityClassName).toBe("system-node-critical");
    }
  });

  test("runs pods, Services and names", async () => {
    c.apply(webApp("web", 2).map((object) => withPort(object, 30_081)));
    await c.until(/2\/2/, "get", "deployment", "web");
    await servesEverywhere();
    await c.until(/Address.*10\.43\./s, "exec", "deployment/web", "--", "nslookup", "web.default.svc.cluster.local");
  });

  test("only the API server is connected to etcd", () => {
    const lines = c.cluster.host("master-1").exec(["ss", "-Htnp", "dst", ":2379"]).trim().split("\n");
    const pids = new Set(lines.flatMap((line) => [...line.matchAll(/pid=(\d+)/g)].map(([, pid = ""]) => pid)));
    const serving = docker(
      "master-1",
      "inspect",
      "-f",
      "{{.State.Pid}}",
      containerOf("master-1", "kube-apiserver"),
    ).trim();
    const etcd = docker("master-1", "inspect", "-f", "{{.State.Pid}}", containerOf("master-1", "etcd")).trim();
    expect(pids).toContain(serving);
    pids.delete(serving);
    // Its own gateway to itself.
    pids.delete(etcd);
    expect([...pids]).toEqual([]);
  });

  test("starts a component again whose container was killed", async () => {
    for (const name of ["kube-scheduler", "kube-apiserver"]) {
      const container = containerOf("master-1", name);
      docker("master-1", "kill", container);
      await c.until(
        (output) => Number(output) > 0,
        ...[
          "get",
          "pod",
          "-n",
          "kube-system",
          `${name}-master-1`,
          "-o",
          "jsonpath={.status.containerStatuses[0].restartCount}",
        ],
      );
    }
    await allReady();
    c.kubectl("scale", "deployment/web", "--replicas=3");
    await c.until(/3\/3/, "get", "deployment", "web");
  });

  test("comes back after its boards lost power, all at once", async () => {
    await Promise.all(c.cluster.hosts.map((host) => host.cut()));
    for (const host of c.cluster.hosts) {
      await host.powerOn();
      host.startBramble([]);
    }
    await allReady();
    await c.until(/3\/3/, "get", "deployment", "web");
    await servesEverywhere();
  });

  test("a worker that boots while the master is away has its Services and names", async () => {
    const [master, worker] = [c.cluster.host("master-1"), c.cluster.host("worker-1")];
    await Promise.all([master.cut(), worker.cut()]);
    await worker.powerOn();
    worker.startBramble([]);
    const { address } = worker.board;
    // Pods on the master are endpoints still, and may be asked: one answer shows that the board serves.
    await waitFor("the app at the board's port", patience_s, () =>
      fetch(`http://${address}:30081/`, { signal: AbortSignal.timeout(3_000) }).then(
        ({ ok }) => ok || undefined,
        () => undefined,
      ),
    );
    await master.powerOn();
    master.startBramble([]);
    await allReady();
  });

  test("another program makes another image, and the one before goes", async () => {
    const host = c.cluster.host("worker-1");
    const imageOf = (pods: Pod[]): string | undefined =>
      pods.find(({ metadata }) => metadata.name === "kube-proxy-worker-1")?.spec.containers[0]?.image;
    const before = imageOf(await allReady());
    await host.stopBramble("SIGTERM");
    host.exec(["touch", host.binary]);
    host.startBramble([]);
    await c.until(
      (output) => output !== "" && output !== before,
      ...["get", "pod", "-n", "kube-system", "kube-proxy-worker-1", "-o", "jsonpath={.spec.containers[0].image}"],
    );
    await allReady();
    const end_ms = performance.now() + 240_000;
    const images = (): string => docker("worker-1", "images", "--format", "{{.Repository}}:{{.Tag}}");
    while (images().includes(before ?? "") && performance.now() < end_ms) await Bun.sleep(1_000);
    expect(images()).not.toContain(before ?? "");
    await servesEverywhere();
  });
});

function withPort(object: object, nodePort: number): object {
  const { kind, spec } = object as { kind: string; spec: { ports?: object[] } };
  if (kind !== "Service") return object;
  return { ...object, spec: { ...spec, ports: spec.ports?.map((port) => ({ ...port, nodePort })) } };
}
