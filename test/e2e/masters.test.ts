/**
 * Three masters over three members of etcd: any of either is killed under writes, and nothing that was acknowledged is
 * lost or made twice. BRAMBLE_MASTER_ROUNDS says how often (30 for a long look).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isAlreadyExists, isConflict } from "#shared/api/errors.ts";
import { configMaps, endpointSlices, leases } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { image, startCluster, type TestCluster } from "./board-cluster.ts";

const rounds = Number(process.env["BRAMBLE_MASTER_ROUNDS"] ?? 3);
const names = ["master-1", "master-2", "master-3"] as const;
/** Writes that must be acknowledged after each kill, before what was killed comes back. */
const writesPerRound = 30;

let c: TestCluster;
let url: (master: string) => string;
/** Asks any master that answers. */
let client: HttpClient;

beforeAll(async () => {
  c = await startCluster({ name: "mst", network: "10.214", masters: 3, workers: 1 });
  url = (master) => `https://${c.cluster.host(master).board.address}:6443`;
  const { credentials } = loadKubeconfig(c.kubeconfig);
  client = new HttpClient({ servers: names.map(url), credentials, timeout_ms: 15_000 });
});
afterAll(() => c?.stop());

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web" },
  spec: {
    containers: [{ name: "web", image, imagePullPolicy: "Never", command: ["sh", "-c", "echo said; sleep 100000"] }],
  },
};

describe("three masters", () => {
  test("are all endpoints of the kubernetes Service, and etcdctl shows their state", async () => {
    const slice = await client.get(endpointSlices, { namespace: "default", name: "kubernetes" });
    expect(slice.endpoints.flatMap(({ addresses }) => addresses)).toHaveLength(3);
    const keys = c.cluster.etcdctl("get", "/registry", "--prefix", "--keys-only");
    expect(keys).toContain("/registry/namespaces/default");
  });

  test("each reach a pod on a board by a tunnel of its own", async () => {
    await c.until(/worker-1 +Ready/, "get", "nodes");
    c.apply(pod);
    await c.until(/Running/, "get", "pod", "web");
    for (const master of names) await c.until(/said/, "--server", url(master), "logs", "web");
  });
});

/** What one writer has been told, and what it must find in the end. */
class Writer {
  readonly made = new Map<string, string>();
  readonly appended: string[] = [];
  acknowledged = 0;
  private ended = false;

  constructor(private readonly name: string) {}

  end(): void {
    this.ended = true;
  }

  /** Creates objects and appends to a list in one of its own. After an answer that was lost it looks before it goes on. */
  async run(): Promise<void> {
    await this.create(this.name, { list: "" });
    for (let n = 0; !this.ended; n += 1) {
      await this.create(`${this.name}-${n}`, { n: String(n) });
      await this.append(`${this.name}.${n}`);
    }
  }

  private async create(name: string, data: Record<string, string>): Promise<void> {
    const object: ConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data };
    for (;;) {
      try {
        const created = await client.create(configMaps, object);
        this.made.set(name, created.metadata.uid ?? "");
        this.acknowledged += 1;
        return;
      } catch (error) {
        // A try before was made after all: names are used once.
        if (isAlreadyExists(error)) return;
        await Bun.sleep(50);
      }
    }
  }

  private async append(item: string): Promise<void> {
    for (;;) {
      try {
        const present = await client.get(configMaps, { namespace: "default", name: this.name });
        const list = present.data?.["list"] ?? "";
        if (list.split(" ").includes(item)) return;
        await client.update(configMaps, { ...present, data: { list: `${list} ${item}`.trim() } });
        this.appended.push(item);
        this.acknowledged += 1;
        return;
      } catch (error) {
        // Nobody else writes to it, so a conflict means that an earlier try was made.
        if (!isConflict(error)) await Bun.sleep(50);
      }
    }
  }

  async verify(): Promise<void> {
    const own = await client.get(configMaps, { namespace: "default", name: this.name });
    const list = (own.data?.["list"] ?? "").split(" ").filter((item) => item !== "");
    expect(new Set(list).size).toBe(list.length);
    expect(this.appended.filter((item) => !list.includes(item))).toEqual([]);
    const { items } = await client.list(configMaps, { namespace: "default" });
    const uids = new Map(items.map(({ metadata }) => [metadata.name ?? "", metadata.uid]));
    expect([...this.made].filter(([name, uid]) => uids.get(name) !== uid)).toEqual([]);
  }
}

/** The masters whose running process says that it leads, by its log. */
function leaders(lease: string): string[] {
  return names.filter((name) => {
    const host = c.cluster.host(name);
    const file = join(host.dir, "bramble.log");
    if (host.bramblePid === undefined || !existsSync(file)) return false;
    const text = readFileSync(file, "utf8");
    const lines = text.slice(text.lastIndexOf(" starting ")).split("\n");
    const last = lines.findLast((line) => line.includes(`lease=${lease}`) && /\bleading\b/.test(line)) ?? "";
    return last.includes("leading lease=");
  });
}

const oneOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;

test(`any is killed under writes, ${rounds} times`, async () => {
  const writers = ["a", "b", "c"].map((name) => new Writer(`writer-${name}`));
  const running = writers.map((writer) => writer.run());
  const acknowledged = (): number => writers.reduce((sum, writer) => sum + writer.acknowledged, 0);
  const atOnce = new Set<number>();
  const watching = setInterval(() => {
    for (const lease of ["kube-scheduler", "kube-controller-manager"]) atOnce.add(leaders(lease).length);
  }, 100);
  const pauses_ms: number[] = [];
  const more = async (count: number): Promise<number> => {
    const from = acknowledged();
    const began_ms = performance.now();
    let resumed_ms: number | undefined;
    while (acknowledged() < from + count) {
      if (acknowledged() > from + writers.length) resumed_ms ??= performance.now() - began_ms;
      await Bun.sleep(20);
    }
    return resumed_ms ?? 0;
  };
  await more(writesPerRound);
  for (let round = 1; round <= rounds; round += 1) {
    const master = oneOf([...names, undefined]);
    const member = oneOf(master ? [...names, undefined] : names);
    const killed = [master && `bramble on ${master}`, member && `etcd on ${member}`].filter(Boolean).join(", ");
    await Bun.sleep(Math.random() * 500);
    await Promise.all([master && c.cluster.host(master).stopBramble("SIGKILL"), member && c.cluster.killEtcd(member)]);
    const pause_ms = await more(writesPerRound);
    pauses_ms.push(pause_ms);
    console.log(`round ${round}: killed ${killed}; writes went on after ${Math.round(pause_ms)} ms`);
    if (member) c.cluster.startEtcd(member);
    if (master) {
      c.cluster.host(master).startBramble();
      await c.cluster.ready(c.cluster.host(master).board);
    }
    await more(writesPerRound);
  }
  clearInterval(watching);
  for (const writer of writers) writer.end();
  await Promise.all(running);
  for (const writer of writers) await writer.verify();
  console.log(`${acknowledged()} writes, longest pause ${Math.round(Math.max(...pauses_ms))} ms`);
  expect([...atOnce].filter((count) => count > 1)).toEqual([]);
});

test("without a majority of etcd writes and fresh reads are refused in plain words, until a member returns", async () => {
  for (const name of ["master-2", "master-3"]) c.cluster.killEtcd(name);
  expect(() => c.kubectl("create", "configmap", "refused")).toThrow(/etcd .*majority of its members/);
  // A list without a version promises the newest state; one of version 0 takes any.
  expect(() => c.kubectl("get", "configmaps")).toThrow(/etcd .*majority of its members/);
  const old = c.kubectl("get", "--raw", "/api/v1/namespaces/default/configmaps?resourceVersion=0");
  expect(old).toContain('"kind":"ConfigMapList"');
  c.cluster.startEtcd("master-2");
  await c.until(/accepted/, "get", "namespace", "default", "-o", "jsonpath=accepted{.metadata.uid}");
  c.kubectl("create", "configmap", "accepted");
  await c.until(/Running/, "get", "pod", "web");
  expect((await client.list(leases, { namespace: "kube-system" })).items.length).toBeGreaterThanOrEqual(5);
});
