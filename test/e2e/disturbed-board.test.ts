import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { pods } from "#shared/api/resources.ts";
import type { Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { BoardHost } from "#tools/local-cluster/board.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { image, patience_s, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(3_600_000);

/** BRAMBLE_CHAOS_ROUNDS kills that often at each turn of a pod's life; BRAMBLE_CHAOS_PODS come and go at once. */
const rounds = Number(process.env["BRAMBLE_CHAOS_ROUNDS"] ?? 1);
const manyPods = Number(process.env["BRAMBLE_CHAOS_PODS"] ?? 12);

describe("a board to which things happen", () => {
  let it: TestCluster;
  let board: BoardHost;

  beforeAll(async () => {
    it = await startCluster({ name: "chaos", workers: 1 });
    board = it.cluster.host("worker-1");
    await it.until(/True/, "get", "node", "worker-1", "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}');
    // What the first pod and policy leave for the next, such as the bridge and chains that stay, is there before anything is
    // counted, and all else of them is gone.
    const bare = holdings();
    it.apply(isolation("first"));
    await create("first", {
      containers: [{ ...sleeper(), ports: [{ containerPort: 80, hostPort: 19_999, protocol: "TCP" }] }],
    });
    await untilReady("first");
    await remove("first");
    it.kubectl("delete", "networkpolicy", "first");
    const givenBack = ["containers", "addresses", "attachments", "interfaces", "podFolders", "sets", "resolvers"];
    await waitFor("the first pod's things to be given back", patience_s, () => {
      const now = holdings();
      return givenBack.every((what) => now[what] === bare[what]) || undefined;
    });
  });
  afterAll(() => it?.stop());
  beforeEach(() => {
    if (board.bramblePid === undefined) board.startBramble();
  });

  const shell = (script: string): string => board.exec(["sh", "-c", script]);
  const docker = (...args: string[]): string => board.exec(["docker", "-H", "unix:///run/docker.sock", ...args]);
  const create = (name: string, spec: Partial<PodSpec> = {}): Promise<Pod> =>
    it.client.create(pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default", labels: { app: "chaos" } },
      spec: { nodeName: "worker-1", terminationGracePeriodSeconds: 1, containers: [sleeper()], ...spec },
    });
  const get = (name: string): Promise<Pod> => it.client.get(pods, { namespace: "default", name });
  const isReady = ({ status }: Pod): boolean =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  const untilReady = (name: string): Promise<Pod> =>
    waitFor(`${name} Ready`, patience_s, async () => {
      const pod = await get(name);
      return isReady(pod) ? pod : undefined;
    });
  const untilGone = (name: string): Promise<unknown> =>
    waitFor(`${name} gone`, patience_s, async () => {
      const { items } = await it.client.list(pods, { namespace: "default", fieldSelector: `metadata.name=${name}` });
      return items.length === 0 || undefined;
    });
  const askToGo = (name: string): Promise<void> => it.client.delete(pods, { namespace: "default", name });
  const remove = async (name: string): Promise<void> => {
    await askToGo(name);
    await untilGone(name);
  };

  /** What pods need of a board, counted: equal before and after if nothing leaks. */
  const holdings = (): Record<string, number> => {
    const count = (script: string): number => Number(shell(`${script} || true`).trim());
    return {
      containers: count("docker -H unix:///run/docker.sock ps -aq | wc -l"),
      addresses: count("ls /run/bramble/ipam/bramble | grep -c '^10\\.'"),
      attachments: count("ls /run/bramble/cni | wc -l"),
      interfaces: count("ip -o link show type veth | wc -l"),
      mounts: count("grep -c -E 'kubelet|bramble/agent' /proc/mounts"),
      podFolders: count("find /var/lib/bramble/agent /var/log/pods -maxdepth 2 -name '*-*-*-*-*' | wc -l"),
      chains: count("iptables-save | grep -c '^:'"),
      rules: count("iptables-save | grep -c '^-A'"),
      sets: count("ipset list -name | wc -l"),
      resolvers: count("ls /run/bramble/resolv | wc -l"),
      cgroups: count(`find /sys/fs/cgroup -type d -path '*/bramble-${it.cluster.plan.name}-worker-1/*' | wc -l`),
    };
  };
  const untilHoldings = async (expected: Record<string, number>): Promise<void> => {
    let last: Record<string, number> = {};
    try {
      await waitFor("all to be given back", 180, () => {
        last = holdings();
        return Bun.deepEquals(last, expected) || undefined;
      });
    } catch {
      expect(last).toEqual(expected);
    }
  };

  test("pods of every kind come and go, and nothing of them stays", async () => {
    const before = holdings();
    it.apply([
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "chaos" },
        spec: { selector: { app: "chaos" }, type: "NodePort", sessionAffinity: "ClientIP", ports: [{ port: 80 }] },
      },
      isolation("chaos"),
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "chaos" }, data: { a: "b" } },
    ]);
    const names = Array.from({ length: manyPods }, (_, index) => `many-${index}`);
    const volumes = [
      { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
      { name: "disk", emptyDir: {} },
      { name: "map", configMap: { name: "chaos" } },
    ];
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
    // A board takes 110 at once.
    for (let first = 0; first < names.length; first += 100) {
      const group = names.slice(first, first + 100);
      await Promise.all(
        group.map((name, index) =>
          create(name, {
            volumes,
            containers: [
              {
                ...sleeper(),
                volumeMounts,
                ports: index % 4 === 0 ? [{ containerPort: 80, hostPort: 20_000 + index, protocol: "TCP" }] : [],
              },
            ],
          }),
        ),
      );
      await Promise.all(group.map(untilReady));
      const during = holdings();
      expect(during["interfaces"]).toBe((before["interfaces"] ?? 0) + group.length);
      expect(during["sets"]).toBeGreaterThan(before["sets"] ?? 0);
      // At the least one a pod, in each hierarchy that has any.
      expect(during["cgroups"]).toBeGreaterThanOrEqual((before["cgroups"] ?? 0) + group.length);
      await Promise.all(group.map(remove));
    }
    it.kubectl("delete", "service/chaos", "networkpolicy/chaos", "configmap/chaos");
    await untilHoldings(before);
  });

  test("an agent killed at any step of a pod's start or end finishes it when it is back, and nothing stays", async () => {
    const before = holdings();
    // The whole of a start takes about a second here, an end two.
    const moments_ms = [0, 50, 120, 200, 300, 450, 700];
    for (let round = 0; round < rounds; round++) {
      for (const [index, moment_ms] of moments_ms.entries()) {
        const name = `cut-${round}-${index}`;
        const shift_ms = (round * 17) % 50;
        await create(name);
        await Bun.sleep(moment_ms + shift_ms);
        await board.stopBramble("SIGKILL");
        board.startBramble();
        await untilReady(name);
        await askToGo(name);
        await Bun.sleep(2 * moment_ms + shift_ms);
        await board.stopBramble("SIGKILL");
        board.startBramble();
        await untilGone(name);
      }
    }
    await untilHoldings(before);
  });

  /** Kills the daemon and starts it as it was, with or without live-restore. */
  const restartDocker = async (liveRestore: boolean): Promise<void> => {
    shell(`
      pid=$(cat /run/dockerd.pid)
      tr '\\0' '\\n' </proc/$pid/cmdline | sed 's/--live-restore=.*/--live-restore=${liveRestore}/' >/run/dockerd.command
      kill -KILL $pid
      while [ -e /proc/$pid ]; do sleep 0.05; done
      rm -f /run/dockerd.pid`);
    await Bun.sleep(1000);
    shell(`
      set --; while IFS= read -r word; do set -- "$@" "$word"; done </run/dockerd.command
      setsid "$@" >>/var/log/dockerd.log 2>&1 </dev/null &`);
    await waitFor("dockerd", 180, () => {
      try {
        return docker("version") || undefined;
      } catch {
        return undefined;
      }
    });
  };
  const containerOf = ({ status }: Pod): string | undefined => status?.containerStatuses?.[0]?.containerID;

  test("dockerd killed: with live-restore pods do not notice, without they run again", async () => {
    const before = holdings();
    await create("steady");
    const first = containerOf(await untilReady("steady"));
    await restartDocker(true);
    // A pod that comes now is made by the new daemon.
    await create("after");
    await untilReady("after");
    expect(containerOf(await get("steady"))).toBe(first);
    await restartDocker(false);
    await restartDocker(false);
    const again = await waitFor("steady in another container", patience_s, async () => {
      const pod = await get("steady");
      return isReady(pod) && containerOf(pod) !== first ? pod : undefined;
    });
    expect(again.status?.containerStatuses?.[0]?.restartCount).toBeGreaterThan(0);
    await untilReady("after");
    await restartDocker(true);
    await Promise.all(["steady", "after"].map(remove));
    await untilHoldings(before);
  });

  test("a full disk fails what needs it and nothing else, and is got over", async () => {
    await create("before");
    const first = containerOf(await untilReady("before"));
    await board.stopBramble("SIGTERM");
    shell(`
      cp -a /var/lib/bramble /run/kept && mount -t tmpfs -o size=48m tmpfs /var/lib/bramble
      cp -a /run/kept/. /var/lib/bramble/`);
    try {
      board.startBramble();
      const pid = await waitFor("the agent", patience_s, () => board.bramblePid);
      await untilReady("before");
      it.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "full" }, data: { a: "b".repeat(100_000) } });
      shell("dd if=/dev/zero of=/var/lib/bramble/ballast bs=64k 2>/dev/null; true");
      const starved = {
        volumes: [{ name: "map", configMap: { name: "full" } }],
        containers: [{ ...sleeper(), volumeMounts: [{ name: "map", mountPath: "/map" }] }],
        tolerations: [{ operator: "Exists" as const }],
      };
      await create("starved", starved);
      await it.until(/ENOSPC|no space left|DiskPressure|Evicted/i, "describe", "pod", "starved");
      expect(board.bramblePid).toBe(pid);
      // What goes on is untouched; what was evicted says so.
      const now = await get("before");
      if (now.status?.phase === "Running") expect(containerOf(now)).toBe(first);
      else expect(now.status?.reason).toBe("Evicted");
      // An agent that goes on remembers pressure for five minutes, as a kubelet does.
      await board.stopBramble("SIGTERM");
      shell("rm /var/lib/bramble/ballast");
      board.startBramble();
      // A pod that was evicted is over; whoever wants it makes another, as its controller would.
      await waitFor("a pod like the starved one", patience_s, async () => {
        const pod = await get("starved");
        if (isReady(pod)) return pod;
        if (pod.status?.phase !== "Failed") return undefined;
        await remove("starved");
        await create("starved", starved);
        return undefined;
      });
      await Promise.all(["before", "starved"].map(remove));
    } finally {
      await board.stopBramble("SIGTERM");
      shell(`
        rm -f /var/lib/bramble/ballast && cp -a /var/lib/bramble /run/full && umount -l /var/lib/bramble
        cp -a /run/full/. /var/lib/bramble/`);
    }
  });

  test("a registry that is silent or lies keeps no other pod, and its pod runs once it is honest", async () => {
    const script = join(import.meta.dir, "../support/bad-registry.ts");
    const registry = Bun.spawn({
      cmd: ["nsenter", `--net=/run/netns/${it.cluster.plan.name}-worker-1`, process.execPath, script, "5000"],
      stdin: "pipe",
      stdout: "ignore",
      stderr: "inherit",
    });
    try {
      await create("silent", { containers: [{ ...sleeper(), image: "127.0.0.1:5000/silent:1" }] });
      await create("lied-to", { containers: [{ ...sleeper(), image: "127.0.0.1:5000/lying:1" }] });
      await create("other");
      await untilReady("other");
      await it.until(/ErrImagePull|ImagePullBackOff/, "get", "pod", "lied-to");
      expect((await get("silent")).status?.containerStatuses?.[0]?.state?.waiting?.reason).toMatch(
        /ContainerCreating|ErrImagePull|ImagePullBackOff/,
      );
      // It can be given up while the registry keeps it waiting.
      await remove("silent");
      docker("tag", image, "127.0.0.1:5000/lying:1");
      await untilReady("lied-to");
    } finally {
      registry.kill();
      await registry.exited;
    }
    await Promise.all(["lied-to", "other"].map(remove));
    docker("rmi", "127.0.0.1:5000/lying:1");
  });

  test("a probe that hangs is ended, with what it started, and its container restarted", async () => {
    const hanging = { exec: { command: ["sleep", "98765"] }, timeoutSeconds: 1, periodSeconds: 1, failureThreshold: 1 };
    await create("hung", { containers: [{ ...sleeper(), livenessProbe: hanging }] });
    await waitFor("a restart", patience_s, async () => {
      const restarts = (await get("hung")).status?.containerStatuses?.[0]?.restartCount ?? 0;
      return restarts > 1 || undefined;
    });
    const probes = (): number => Number(shell("pgrep -fc '^sleep 98765' || true"));
    // One may be under way, and one being ended; if more were left there would be ever more of them.
    await waitFor("two probes or fewer", patience_s, () => probes() <= 2 || undefined);
    await remove("hung");
    await waitFor("no probe left", 180, () => probes() === 0 || undefined);
  });
});

function sleeper(): PodSpec["containers"][number] {
  return {
    name: "main",
    image,
    imagePullPolicy: "IfNotPresent",
    command: ["sh", "-c", "trap exit TERM; while true; do sleep 0.1; done"],
  };
}

function isolation(name: string): object {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name },
    spec: { podSelector: { matchLabels: { app: "chaos" } }, ingress: [{ from: [{ podSelector: {} }] }] },
  };
}
