import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { events, nodes, pods } from "#shared/api/resources.ts";
import type { NodeCondition, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { BoardHost } from "#tools/local-cluster/board.ts";
import { CommandError, waitFor } from "#tools/local-cluster/run.ts";
import { readFromDisk } from "#tools/local-cluster/vm-image.ts";
import type { TestCluster } from "../e2e/board-cluster.ts";
import { patience_s } from "./patience.ts";

process.env["BRAMBLE_E2E_GUESTS"] = "1";
const { image, startCluster } = await import("../e2e/board-cluster.ts");

/**
 * `systemctl poweroff` on a worker with systemd: its logind waits until the pods have ended, the lowest priority first and each by its
 * preStop hook; the master is told, sends nobody away, and has the board back as it was.
 */
setDefaultTimeout(7_200_000);
const ends = "/var/tmp/ends";
const important = 1000;
// An emulated machine takes its time for an exec.
const grace_s = 240;

let it: TestCluster;
let worker: BoardHost;

const namespace = "default";
const get = (name: string): Promise<Pod> => it.client.get(pods, { namespace, name });
const conditionOf = async (): Promise<NodeCondition | undefined> =>
  (await it.client.get(nodes, { name: "worker-1" })).status?.conditions?.find(({ type }) => type === "Ready");
const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
/** Asks the guest again while it does not answer. */
const inGuest = (what: string, line: string, pattern: RegExp): Promise<string> =>
  waitFor(what, patience_s, () => {
    try {
      const output = worker.exec(["sh", "-c", line]);
      return pattern.test(output) ? output : undefined;
    } catch (error) {
      if (error instanceof CommandError) return undefined;
      throw error;
    }
  });

/** Says on the board when its hook begins and when it is told to end. */
const spec = (name: string, more: object = {}): object => {
  const say = (what: string): string => `echo ${name} ${what} >>/ends/log`;
  return {
    terminationGracePeriodSeconds: 2 * grace_s,
    containers: [
      {
        name: "main",
        image,
        command: ["sh", "-c", `trap '${say("told")}; exit 0' TERM; while :; do sleep 1 & wait $!; done`],
        lifecycle: { preStop: { exec: { command: ["sh", "-c", `${say("hook")}; sleep 2; ${say("hook-done")}`] } } },
        volumeMounts: [{ name: "ends", mountPath: "/ends" }],
      },
    ],
    volumes: [{ name: "ends", hostPath: { path: ends, type: "DirectoryOrCreate" } }],
    ...more,
  };
};

beforeAll(async () => {
  it = await startCluster({
    name: "power",
    workers: 1,
    takesGuests: true,
    workerArgs: ["--shutdown-grace-period-by-pod-priority", `0=${grace_s},${important}=${grace_s}`],
  });
  worker = it.cluster.host("worker-1");
  it.apply([
    { apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", metadata: { name: "important" }, value: important },
    { apiVersion: "v1", kind: "Pod", metadata: { name: "low" }, spec: spec("low") },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "high" },
      spec: spec("high", { priorityClassName: "important" }),
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "steady" },
      spec: {
        selector: { matchLabels: { app: "steady" } },
        template: { metadata: { labels: { app: "steady" } }, spec: spec("steady", { priorityClassName: "important" }) },
      },
    },
  ]);
  for (const name of ["low", "high"])
    await waitFor(name, patience_s, async () => isReady(await get(name)) || undefined);
  await it.until(/^1$/, "get", "deployment/steady", "-o", "jsonpath={.status.readyReplicas}");
});
afterAll(async () => it?.stop());

describe("a worker whose machine is switched off in good order", () => {
  const seen: NodeCondition[] = [];

  test("holds an inhibitor of logind's, for as long as its pods may take", async () => {
    const line =
      "systemd-inhibit --list --no-legend; busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager InhibitDelayMaxUSec";
    const output = await inGuest("the inhibitor", line, /bramble/);
    expect(output).toMatch(/bramble .*shutdown .*delay/);
    expect(output).toContain(`t ${2 * grace_s * 1e6}`);
  });

  test("ends its pods before, the lowest priority first, each by its hook", async () => {
    worker.exec(["systemctl", "poweroff", "--no-block"]);
    await waitFor("the end of the machine", patience_s, async () => {
      const condition = await conditionOf();
      if (condition && condition.message !== seen.at(-1)?.message) seen.push(condition);
      return worker.powered ? undefined : true;
    });
    const log = readFromDisk(join(worker.dir, "guest", "disk.raw"), `${ends}/log`)
      .trim()
      .split("\n");
    const of = (name: string): string[] => log.filter((line) => line.startsWith(name));
    for (const name of ["low", "high", "steady"])
      expect(of(name)).toEqual([`${name} hook`, `${name} hook-done`, `${name} told`]);
    expect(log.slice(0, 3)).toEqual(of("low"));
  });

  test("tells the master why it goes and how its pods ended", async () => {
    expect(seen).toContainEqual(
      expect.objectContaining({
        status: "False",
        reason: "KubeletNotReady",
        message: expect.stringContaining("node is shutting down"),
      }),
    );
    for (const name of ["low", "high"])
      expect((await get(name)).status).toMatchObject({
        phase: expect.stringMatching(/Succeeded|Failed/),
        reason: "Terminated",
        message: "Pod was terminated in response to imminent node shutdown.",
      });
  });

  test("is no reason to send pods away", async () => {
    await waitFor("NotReady", patience_s, async () => (await conditionOf())?.status !== "True" || undefined);
    const { items } = await it.client.list(pods, { namespace });
    expect(items.filter(({ metadata }) => metadata.deletionTimestamp !== undefined)).toEqual([]);
    const evictions = await it.client.list(events, { namespace });
    expect(evictions.items.filter(({ reason }) => /Evict/.test(reason ?? ""))).toEqual([]);
    // The Deployment has one other that waits for the board, not one after another.
    expect(items.filter(({ metadata }) => metadata.labels?.["app"] === "steady").length).toBeLessThanOrEqual(2);
  });

  test("comes back with its Node and its workloads", async () => {
    await worker.powerOn();
    await waitFor("the Node", patience_s, async () => (await conditionOf())?.status === "True" || undefined);
    await it.until(/^1$/, "get", "deployment/steady", "-o", "jsonpath={.status.readyReplicas}");
    await inGuest("the inhibitor", "systemd-inhibit --list --no-legend", /bramble/);
  });

  test("is started anew when it hangs, and its pods go on", async () => {
    const steady = (await it.client.list(pods, { namespace, labelSelector: "app=steady" })).items.find(isReady);
    const restartsOf = (pod: Pod): number | undefined => pod.status?.containerStatuses?.[0]?.restartCount;
    const dropIn = "/run/systemd/system/bramble-worker.service.d";
    // In place of the unit's five minutes.
    const shorter = `mkdir -p ${dropIn} && printf '[Service]\\nWatchdogSec=60\\n' >${dropIn}/limit.conf`;
    worker.exec(["sh", "-c", `${shorter} && systemctl daemon-reload && systemctl restart bramble-worker`]);
    await inGuest(
      "no restart",
      "systemctl show -p NRestarts,ActiveState bramble-worker",
      /NRestarts=0\nActiveState=active/,
    );
    worker.exec(["systemctl", "kill", "--kill-whom=main", "--signal=STOP", "bramble-worker"]);
    await inGuest(
      "a restart",
      "systemctl show -p NRestarts,ActiveState bramble-worker",
      /NRestarts=1\nActiveState=active/,
    );
    await waitFor("the Node", patience_s, async () => (await conditionOf())?.status === "True" || undefined);
    const name = steady?.metadata.name ?? "";
    expect(restartsOf(await get(name))).toBe(restartsOf(steady as Pod) as number);
  });
});
