import { afterAll, beforeAll, describe, setDefaultTimeout, test } from "bun:test";
import { configMaps, nodes, pods } from "#shared/api/resources.ts";
import { ConnectionError } from "#shared/client/client.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { chanceOf } from "../power-cut/disk-model.ts";
import { patience_s, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(24 * 3_600_000);

/** A few in every run; BRAMBLE_CHAOS_FAULTS=1000 for a long look, BRAMBLE_SEED for other ones. */
const faults = Number(process.env["BRAMBLE_CHAOS_FAULTS"] ?? 6);
const seed = Number(process.env["BRAMBLE_SEED"] ?? Math.floor(Math.random() * 1e6));
/** The most that fail before all is healed and looked at. */
const mostTogether = 5;
const boards = ["worker-1", "worker-2", "worker-3"] as const;
const replicas = 4;

/**
 * Whatever happens to boards, links and masters, in whatever order: no acknowledged write is lost, no pod runs twice where
 * only one may be, and after healing every Service answers.
 */
describe(`a cluster to which anything happens (seed ${seed})`, () => {
  let it: TestCluster;
  const chance = chanceOf(seed);
  const oneOf = <T>(all: readonly T[]): T => all[Math.floor(chance() * all.length)] as T;

  beforeAll(async () => {
    it = await startCluster({
      name: "chaos",
      workers: boards.length,
    });
    const [deployment, service] = webApp("web", replicas) as [{ spec: { template: { spec: object } } }, object];
    Object.assign(deployment.spec.template.spec, { tolerations: leavingAfter(5) });
    it.apply([deployment, service, ...single()]);
    await untilWell();
  });
  afterAll(() => it.stop());

  test(`${faults} random faults break none of what must always hold`, async () => {
    const writer = new Writer(it);
    const watcher = new TwiceWatcher(it);
    try {
      for (let count = 0; count < faults; ) {
        const what: string[] = [];
        // Troubles do not wait for one another: up to a few come before any of them is over.
        const together = Math.min(1 + Math.floor(chance() * mostTogether), faults - count);
        while (what.length < together) what.push(await fault());
        count += together;
        await heal();
        const began_ms = performance.now();
        try {
          await untilWell();
          await writer.goesOn();
          await writer.check();
          watcher.check();
        } catch (error) {
          throw new Error(`fault ${count}, ${what.join(", ")}: ${(error as Error).message}`, { cause: error });
        }
        console.log(`${count}: ${what.join(", ")}; well again after ${Math.round(performance.now() - began_ms)} ms`);
      }
    } finally {
      await Promise.all([writer.stop(), watcher.stop()]);
    }
  });

  /** Makes one thing fail, for a while. Gives its name. */
  async function fault(): Promise<string> {
    const board = oneOf(boards);
    const host = it.cluster.host(board);
    const master = it.cluster.host("master-1");
    const some_ms = (): Promise<void> => Bun.sleep(500 + chance() * 8_000);
    const docker = (...args: string[]): string => host.exec(["docker", "-H", "unix:///run/docker.sock", ...args]);
    const runs = ({ powered, bramblePid }: typeof host): boolean => powered && bramblePid !== undefined;
    /** What can happen to the board, or to the master, as it is now. */
    const possible: readonly (readonly [string, boolean, () => Promise<unknown>])[] = [
      ["agent killed", runs(host), () => host.stopBramble("SIGKILL").then(some_ms)],
      ["agent restarted", runs(host), () => host.stopBramble("SIGTERM").then(() => host.startBramble())],
      ["board's power", host.powered, () => host.cut().then(some_ms)],
      [
        "board's link",
        host.powered,
        async () => {
          host.link("down");
          await some_ms();
        },
      ],
      [
        "flapping link",
        host.powered,
        async () => {
          for (let n = 0; n < 3; n++) {
            host.link("down");
            await Bun.sleep(chance() * 2_000);
            host.link("up");
            await Bun.sleep(chance() * 2_000);
          }
        },
      ],
      [
        "switch off",
        true,
        async () => {
          for (const each of boards) if (it.cluster.host(each).powered) it.cluster.host(each).link("down");
          await some_ms();
        },
      ],
      ["master killed", runs(master), () => master.stopBramble("SIGKILL").then(some_ms)],
      ["master restarted", runs(master), () => master.stopBramble("SIGTERM").then(() => master.startBramble())],
      ["master's power", master.powered, () => master.cut().then(some_ms)],
      [
        "board boots with the master away",
        host.powered,
        async () => {
          if (master.powered) await master.cut();
          await host.cut();
          await host.powerOn();
          host.startBramble();
          await some_ms();
        },
      ],
      [
        "power of all",
        true,
        async () => {
          await Promise.all(it.cluster.hosts.filter(({ powered }) => powered).map((each) => each.cut()));
        },
      ],
      [
        "containers killed",
        host.powered,
        async () => {
          const ids = docker("ps", "-q").trim().split("\n").filter(Boolean);
          // One may have ended by itself meanwhile.
          const some = ids.filter((_, index) => index === 0 || chance() < 0.5);
          for (const id of some) host.exec(["sh", "-c", `docker -H unix:///run/docker.sock kill ${id} || true`]);
        },
      ],
      [
        "rules flushed",
        runs(host),
        async () => {
          host.exec(["sh", "-c", "iptables -t nat -F; iptables -F FORWARD"]);
          // Nobody promises to see what others do at once: the agent's start is.
          await host.stopBramble("SIGTERM");
        },
      ],
    ];
    const [what, , happen] = oneOf(possible.filter(([, isPossible]) => isPossible));
    await happen();
    return `${what} (${board})`;
  }

  /** All that is off is on again, in any order. */
  async function heal(): Promise<void> {
    const hosts = [...it.cluster.hosts].sort(() => chance() - 0.5);
    for (const host of hosts) {
      if (!host.powered) await host.powerOn();
      host.link("up");
      if (host.bramblePid === undefined) host.startBramble();
    }
  }

  async function untilWell(): Promise<void> {
    await waitFor("all boards Ready", patience_s, async () => {
      const { items } = await it.client.list(nodes).catch(() => ({ items: [] }));
      const ready = items.filter(({ status }) =>
        status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
      );
      return ready.length === boards.length || undefined;
    });
    await waitFor("all pods Ready", patience_s, async () => {
      const { items } = await it.client.list(pods, { namespace: "default" }).catch(() => ({ items: [] }));
      const ready = items.filter(
        ({ metadata, status }) =>
          !metadata.deletionTimestamp && status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
      );
      return (ready.length === replicas + 1 && items.length === replicas + 1) || undefined;
    });
    for (const service of ["web", "single"]) {
      const port = it.kubectl("get", "service", service, "-o", "jsonpath={.spec.ports[0].nodePort}").trim();
      for (const [index] of boards.entries())
        await waitFor(`Service ${service} at board ${index + 1}`, patience_s, () => {
          try {
            const url = `http://${it.prefix}.${101 + index}:${port}/`;
            // A Service answers when it does so several times: each pod behind it gets some.
            for (let n = 0; n < 5; n++)
              it.cluster.host("master-1").exec(["curl", "-fsS", "--max-time", "3", "--connect-timeout", "2", url]);
            return true;
          } catch {
            return undefined;
          }
        });
    }
  }
});

/** A StatefulSet of one pod: where only one may be. */
function single(): object[] {
  const [deployment, service] = webApp("single", 1) as [{ spec: { template: object; selector: object } }, object];
  const { template, selector } = deployment.spec;
  return [
    {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: "single" },
      spec: { serviceName: "single", replicas: 1, selector, template },
    },
    service,
  ];
}

const leavingAfter = (seconds: number): object[] =>
  ["not-ready", "unreachable"].map((condition) => ({
    key: `node.kubernetes.io/${condition}`,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: seconds,
  }));

/** Writes all the while; what was acknowledged must be there. */
class Writer {
  #acknowledged = 0;
  #isOver = false;
  /** What a name may hold: the last acknowledged value and what was asked for since. */
  readonly #possible = new Map<string, Set<string>>();
  readonly #running: Promise<void>;

  constructor(private readonly it: TestCluster) {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (let count = 0; !this.#isOver; count++) {
      const name = `written-${count % 8}`;
      const value = String(count);
      const possible = this.#possible.get(name) ?? new Set([""]);
      this.#possible.set(name, possible.add(value));
      const metadata = { name, namespace: "default" };
      const body = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { value } };
      try {
        await this.it.client.patch(
          configMaps,
          metadata,
          { type: "apply", force: true, body },
          { fieldManager: "chaos" },
        );
        this.#possible.set(name, new Set([value]));
        this.#acknowledged++;
      } catch (error) {
        // Nobody knows whether it was written; a master that starts may refuse.
        if (!(error instanceof ConnectionError)) await Bun.sleep(200);
      }
      await Bun.sleep(50);
    }
  }

  /** Until another write is acknowledged. One that was under way when a master lost its power has its time to run out first. */
  async goesOn(): Promise<void> {
    const from = this.#acknowledged;
    await waitFor("another write", patience_s, async () => this.#acknowledged > from || undefined);
  }

  async check(): Promise<void> {
    const before = new Map([...this.#possible].map(([name, values]) => [name, new Set(values)]));
    const { items } = await this.it.client.list(configMaps, { namespace: "default" });
    const present = new Map(items.map(({ metadata, data }) => [metadata.name ?? "", data?.["value"] ?? ""]));
    for (const [name, values] of before) {
      const value = present.get(name) ?? "";
      // The writer goes on meanwhile: newer ones are well.
      const newest = Math.max(...[...values].map(Number));
      if (!values.has(value) && !(Number(value) > newest) && this.#acknowledged > 0)
        throw new Error(`${name} holds ${value || "nothing"}, and should hold ${[...values].join(" or ")}`);
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}

/** Looks on all boards whether the one pod of the StatefulSet runs in two places. */
class TwiceWatcher {
  #isOver = false;
  readonly #seen: string[] = [];
  readonly #running: Promise<void>;

  constructor(private readonly it: TestCluster) {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const found = this.#look();
      // One look takes its time: the pod may have moved meanwhile. What is there at a second look was there all the time.
      const still = found.length > 1 ? this.#look() : [];
      const atOnce = found.filter((each) => still.includes(each));
      if (atOnce.length > 1) this.#seen.push(atOnce.join(", "));
      await Bun.sleep(500);
    }
  }

  /** The pod's containers that run, one board after the other. */
  #look(): string[] {
    const filters = ["io.kubernetes.pod.name=single-0", "io.kubernetes.container.name=web"];
    return boards.flatMap((board) => {
      const host = this.it.cluster.host(board);
      if (!host.powered) return [];
      try {
        const labels = filters.flatMap((label) => ["--filter", `label=${label}`]);
        const ids = host.exec(["docker", "-H", "unix:///run/docker.sock", "ps", "-q", ...labels]);
        return ids
          .trim()
          .split("\n")
          .filter(Boolean)
          .map((id) => `${board}: ${id}`);
      } catch {
        // The board is going off or coming up.
        return [];
      }
    });
  }

  check(): void {
    if (this.#seen.length > 0) throw new Error(`the pod that may be there once ran twice: ${this.#seen.join("; ")}`);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}
