/**
 * Three masters over three members of etcd: any of either is killed under writes, and nothing that was acknowledged is
 * lost or made twice. BRAMBLE_MASTER_ROUNDS says how often (30 for a long look).
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { endpointSlices, leases } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { until } from "#shared/testing/until.ts";
import { image, startCluster, type TestCluster } from "./board-cluster.ts";
import { Writers } from "./writer.ts";

setDefaultTimeout(1_800_000);

const rounds = Number(process.env["BRAMBLE_MASTER_ROUNDS"] ?? 3);
const names = ["master-1", "master-2", "master-3"] as const;
/** More than any master writes. */
const allLines = 1_000_000_000;
/** Writes that must be acknowledged after each kill, before what was killed comes back. */
const writesPerRound = 30;

let c: TestCluster;
let url: (master: string) => string;
/** Asks any master that answers. */
let client: HttpClient;

beforeAll(async () => {
  c = await startCluster({ name: "mst", masters: 3, workers: 1 });
  url = (master) => `https://${c.cluster.host(master).board.address}:6443`;
  const { credentials } = loadKubeconfig(c.kubeconfig);
  client = new HttpClient({ servers: names.map(url), credentials, timeout_ms: 15_000 });
});
afterAll(() => c?.stop());

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "nginx" },
  spec: {
    containers: [{ name: "web", image, imagePullPolicy: "Never", command: ["sh", "-c", "echo said; sleep 100000"] }],
  },
};

describe("three masters", () => {
  test("are all endpoints of the kubernetes Service, and etcdctl shows their state", async () => {
    // A master that is ready is listed a moment later.
    await until("three endpoints", async () => {
      const slice = await client.get(endpointSlices, { namespace: "default", name: "kubernetes" });
      return slice.endpoints.flatMap(({ addresses }) => addresses).length === 3;
    });
    const keys = c.cluster.etcdctl("get", "/registry", "--prefix", "--keys-only");
    expect(keys).toContain("/registry/namespaces/default");
  });

  test("each reach a pod on a board by a tunnel of its own", async () => {
    await c.until(/worker-1 +Ready/, "get", "nodes");
    c.apply(pod);
    await c.until(/Running/, "get", "pod", "nginx");
    for (const master of names) await c.until(/said/, "--server", url(master), "logs", "nginx");
  });

  test("keep objects under the keys that upstream gives them, as JSON", () => {
    const text = c.cluster.etcdctl("get", "/registry/pods/default/nginx", "--print-value-only");
    expect(JSON.parse(text)).toMatchObject({ kind: "Pod", metadata: { name: "nginx", namespace: "default" } });
  });
});

/** How many lines each master's log had when its present process was started. */
const formerLines = new Map<string, number>();

const linesOf = (name: string): string[] => c.cluster.host(name).log(allLines).split("\n");

/** The masters whose running process says that it leads, by its log. */
function leaders(lease: string): string[] {
  return names.filter((name) => {
    if (c.cluster.host(name).bramblePid === undefined) return false;
    const lines = linesOf(name).slice(formerLines.get(name) ?? 0);
    const last = lines.findLast((line) => line.includes(`lease=${lease}`) && /\bleading\b/.test(line)) ?? "";
    return last.includes("leading lease=");
  });
}

/** Until it answers: the next to be killed may be another, and two of three are too many. */
async function startMember(name: string): Promise<void> {
  c.cluster.startEtcd(name);
  const { code, stderr } = await c.bramble(name, "etcd", "ready", "--wait", "100");
  expect([code, stderr]).toEqual([0, ""]);
}

const oneOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;

test(`any is killed under writes, ${rounds} times`, async () => {
  const writers = new Writers(client, ["a", "b", "c"]);
  const atOnce = new Set<number>();
  const watching = setInterval(() => {
    for (const lease of ["kube-scheduler", "kube-controller-manager"]) atOnce.add(leaders(lease).length);
  }, 100);
  const pauses_ms: number[] = [];
  await writers.more(writesPerRound);
  for (let round = 1; round <= rounds; round += 1) {
    const master = oneOf([...names, undefined]);
    const member = oneOf(master ? [...names, undefined] : names);
    const killed = [master && `bramble on ${master}`, member && `etcd on ${member}`].filter(Boolean).join(", ");
    await Bun.sleep(Math.random() * 500);
    await Promise.all([master && c.cluster.host(master).stopBramble("SIGKILL"), member && c.cluster.killEtcd(member)]);
    const pause_ms = await writers.more(writesPerRound);
    pauses_ms.push(pause_ms);
    console.log(`round ${round}: killed ${killed}; writes went on after ${Math.round(pause_ms)} ms`);
    if (member) await startMember(member);
    if (master) {
      formerLines.set(master, linesOf(master).length);
      c.cluster.host(master).startBramble();
      await c.cluster.ready(c.cluster.host(master).board);
    }
    await writers.more(writesPerRound);
  }
  clearInterval(watching);
  await writers.end();
  console.log(`${writers.acknowledged} writes, longest pause ${Math.round(Math.max(...pauses_ms))} ms`);
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
  await c.until(/Running/, "get", "pod", "nginx");
  expect((await client.list(leases, { namespace: "kube-system" })).items.length).toBeGreaterThanOrEqual(5);
});
