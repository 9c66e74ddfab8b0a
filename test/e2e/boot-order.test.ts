import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { nodes, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { busyboxArchive } from "../support/dockerd.ts";
import { type NameServer, startNameServer } from "../support/name-server.ts";
import { patience_s, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(600_000);

const parts = ["master", "worker", "registry", "names"] as const;
type PartName = (typeof parts)[number];

/**
 * Pods that start without a master, a worker after all others, and pulls that first fail; BRAMBLE_BOOT_ORDERS=all tries all
 * 24. The clock's turn is in test/guest/clock.test.ts: boards of one machine share its clock.
 */
const telling: readonly (readonly PartName[])[] = [
  ["worker", "names", "registry", "master"],
  ["registry", "names", "master", "worker"],
  ["master", "worker", "registry", "names"],
];
const orders = process.env["BRAMBLE_BOOT_ORDERS"] === "all" ? permutations(parts) : telling;

describe("everything loses power, and comes back in some order", () => {
  let it: TestCluster;
  let names: NameServer | undefined;
  let registry: Bun.Subprocess | undefined;
  const isOn = new Set<PartName>();
  /** Where the worker's dockerd wrote on when the board came up. */
  let bootInLog = 0;
  const image = "registry.test:5000/late:1";

  const on: { readonly [P in PartName]: () => Promise<void> } = {
    master: () => boot("master-1"),
    worker: () => {
      bootInLog = dockerLog().length;
      return boot("worker-1");
    },
    registry: async () => {
      const config = join(it.cluster.dir, "registry.json");
      registry = Bun.spawn({ cmd: ["docker-registry", "serve", config], stdout: "ignore", stderr: "ignore" });
      await waitFor("the registry", patience_s, async () => {
        const answer = await fetch(`http://${it.prefix}.1:5000/v2/`).catch(() => undefined);
        return answer?.ok || undefined;
      });
    },
    names: async () => {
      const outside = `${it.prefix}.1`;
      names = await startNameServer(outside, { "registry.test": outside, "outside.test": "192.0.2.7" });
    },
  };

  async function turnOn(part: PartName): Promise<void> {
    if (isOn.has(part)) return;
    await on[part]();
    isOn.add(part);
  }

  async function boot(name: string): Promise<void> {
    const host = it.cluster.host(name);
    await host.powerOn();
    host.startBramble();
  }

  /** Not in one turn: the name server answers from this process. */
  async function docker(...args: string[]): Promise<string> {
    const cmd = it.cluster.host("worker-1").inside(["docker", "-H", "unix:///run/docker.sock", ...args]);
    const child = Bun.spawn({ cmd, stdout: "pipe", stderr: "pipe" });
    const [said, trouble] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    if ((await child.exited) !== 0) throw new Error(`docker ${args[0]}: ${trouble}`);
    return said;
  }
  const dockerLog = (): string => it.cluster.host("worker-1").read("/var/log/dockerd.log") ?? "";

  /** Until the boards that are on have done what they can, and failed at what is missing, before the next part comes. */
  async function untilStuck(): Promise<void> {
    const [master] = it.cluster.masters;
    if (isOn.has("master") && master) await it.cluster.ready(master);
    if (!isOn.has("worker")) return;
    if (isOn.has("registry") && isOn.has("names")) {
      await waitFor("the pod's start without a master", patience_s, async () => {
        return (
          (await docker("ps", "--quiet", "--filter", "label=io.kubernetes.container.name=late")) !== "" || undefined
        );
      });
    } else {
      const failedPull = /\/images\/create returned error: .*registry\.test/;
      await waitFor("a pull that fails", patience_s, () => failedPull.test(dockerLog().slice(bootInLog)) || undefined);
    }
  }

  async function allOff(): Promise<void> {
    await Promise.all(it.cluster.hosts.map((host) => host.cut()));
    registry?.kill("SIGKILL");
    await registry?.exited;
    await names?.stop();
    names = undefined;
    isOn.clear();
  }

  /** By its probe it knows the names inside and outside of the cluster, and its image came from the registry. */
  const podNow = async (): Promise<Pod | undefined> => {
    const { items } = await it.client.list(pods, { namespace: "default", labelSelector: "app=late" });
    const [pod] = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const isReady = pod?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
    return isReady ? pod : undefined;
  };
  const startOf = (pod: Pod): string => pod.status?.containerStatuses?.[0]?.containerID ?? "";
  const untilServing = (before: string): Promise<Pod> =>
    waitFor("the pod, anew", patience_s, async () => {
      const node = await it.client.get(nodes, { name: "worker-1" }).catch(() => undefined);
      if (!node?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"))
        return undefined;
      const pod = await podNow().catch(() => undefined);
      return pod && startOf(pod) !== before ? pod : undefined;
    });

  beforeAll(async () => {
    it = await startCluster({ name: "edges", workers: 1 });
    const outside = `${it.prefix}.1`;
    writeFileSync(
      join(it.cluster.dir, "registry.json"),
      JSON.stringify({
        version: "0.1",
        log: { level: "error" },
        storage: { filesystem: { rootdirectory: join(it.cluster.dir, "registry") } },
        http: { addr: `${outside}:5000` },
      }),
    );
    // A board that was never a node would need its token again.
    await it.until(
      /^True$/,
      "get",
      "node",
      "worker-1",
      "-o",
      'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
    );
    await it.cluster.host("worker-1").cut();
    const daemon = it.cluster.file("worker-1", "/etc/docker/daemon.json");
    mkdirSync(dirname(daemon), { recursive: true });
    writeFileSync(daemon, JSON.stringify({ "insecure-registries": ["registry.test:5000"] }));
    for (const board of ["master-1", "worker-1"])
      writeFileSync(join(it.cluster.dir, board, "resolv.conf"), `nameserver ${outside}\noptions timeout:1\n`);
    isOn.add("master");
    for (const part of parts) await turnOn(part);
    const archive = join(it.cluster.dir, "late.tar");
    writeFileSync(archive, busyboxArchive(image));
    await it.cluster.load(archive, () => undefined);
    await docker("push", image);
    await docker("rmi", image);
    it.apply(late(image));
    await untilServing("");
    // What the agent gathers for a moment before it writes, a cut takes: this one comes right after the board's first start.
    const caches = it.cluster.file("worker-1", "/var/lib/bramble/agent/caches");
    const areKept = (): boolean => readdirSync(caches).some((file) => file.startsWith("services-"));
    await waitFor("Services on the worker's card", patience_s, () => (existsSync(caches) && areKept()) || undefined);
  });
  afterAll(async () => {
    if (it) await allOff();
    await it?.stop();
  });

  test.each(orders.map((order) => [order.join(", "), order] as const))("%s", async (_, order) => {
    // An order that failed may have left parts off.
    for (const part of parts) await turnOn(part);
    const before = await untilServing("");
    await allOff();
    for (const part of order) {
      await turnOn(part);
      if (isOn.size < order.length) await untilStuck();
    }
    const after = await untilServing(startOf(before));
    expect(after.metadata.uid).toBe(before.metadata.uid);
  });
});

/** A pod whose image is asked for at each start, and which is ready when it gets names from inside and outside. */
function late(image: string): object {
  const labels = { app: "late" };
  const lookUp = "nslookup -type=a kubernetes.default.svc.cluster.local && nslookup -type=a outside.test";
  const never = ["not-ready", "unreachable"].map((condition) => ({
    key: `node.kubernetes.io/${condition}`,
    operator: "Exists",
    effect: "NoExecute",
  }));
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "late" },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          tolerations: never,
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: "late",
              image,
              imagePullPolicy: "Always",
              command: ["sleep", "100000"],
              readinessProbe: { exec: { command: ["sh", "-c", lookUp] }, periodSeconds: 2, timeoutSeconds: 20 },
            },
          ],
        },
      },
    },
  };
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((first, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [first, ...rest]),
  );
}
