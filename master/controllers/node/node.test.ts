import { afterEach, describe, expect, test } from "bun:test";
import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { leases, nodes, pods } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { Node, Taint } from "#shared/api/types/core-v1.generated.ts";
import type { ReadScope } from "#shared/client/client.ts";
import type { RunningController } from "#shared/client/controller.ts";
import { updateLatest } from "#shared/client/testing/update-latest.ts";
import { sessionIdAnnotation, sessionStateAnnotation } from "#shared/heartbeat/messages.ts";
import { processFamilies } from "#shared/metrics/process-families.ts";
import { resetTables } from "#shared/metrics/tables.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { taintDeletions } from "../controller-counts.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { told } from "../testing/told.ts";
import { EvictionTurns, fleetState } from "./eviction-pace.ts";
import { FleetCensus } from "./fleet-census.ts";
import { defaultHealthSettings, hear, judge } from "./health.ts";
import { CidrPool, nodeIpamController } from "./node-ipam.ts";
import { nodeLifecycleController } from "./node-lifecycle.ts";
import { leaseScope } from "./node-monitor.ts";
import { taintEvictionController, tolerated_s } from "./taint-eviction.ts";
import { taintsAfter, zoneOf } from "./taints.ts";
import { ZoneCounts } from "./zone-counts.ts";

const readyNode = (name: string, status = "True"): Node => {
  const node = testNode(name);
  return { ...node, status: { ...node.status, conditions: [{ type: "Ready", status }] } };
};

describe("taints", () => {
  const keys = (taints: Taint[] | undefined) =>
    taints?.map(({ key, effect }) => `${key.split("/")[1] ?? key}:${effect}`);

  test("follow conditions and leave others alone", () => {
    const node = readyNode("a", "Unknown");
    node.spec = { unschedulable: true, taints: [{ key: "mine", effect: "NoSchedule" }] };
    const taints = taintsAfter(node, "evict", "t");
    expect(keys(taints)).toEqual([
      "mine:NoSchedule",
      "unreachable:NoSchedule",
      "unschedulable:NoSchedule",
      "unreachable:NoExecute",
    ]);
    node.spec.taints = taints;
    expect(taintsAfter(node, "evict", "t2")).toBeUndefined();
    const well = { ...readyNode("a"), spec: { taints: taints ?? [] } };
    expect(keys(taintsAfter(well, "evict", "t"))).toEqual(["mine:NoSchedule"]);
  });

  test("say since when they are there, whatever their effect", () => {
    const node = readyNode("a", "Unknown");
    node.spec = { unschedulable: true, taints: [{ key: "mine", effect: "NoSchedule" }] };
    const dates = (taints: Taint[] | undefined) => taints?.map(({ timeAdded }) => timeAdded);
    node.spec.taints = taintsAfter(node, "hold", "t") ?? [];
    expect(dates(node.spec.taints)).toEqual([undefined, "t", "t"]);
    expect(dates(taintsAfter(node, "evict", "t2"))).toEqual([undefined, "t", "t", "t2"]);
  });

  test("nothing is evicted when the fleet is down", () => {
    const node = readyNode("a", "Unknown");
    expect(keys(taintsAfter(node, "hold", "t"))).toEqual(["unreachable:NoSchedule"]);
    node.spec = { taints: [{ key: "node.kubernetes.io/unreachable", effect: "NoExecute" }] };
    expect(keys(taintsAfter(node, "hold", "t"))).toEqual(["unreachable:NoExecute", "unreachable:NoSchedule"]);
    expect(keys(taintsAfter(node, "take back", "t"))).toEqual(["unreachable:NoSchedule"]);
  });

  test("what boards behind a dead switch got one after the other is taken back", () => {
    const node = readyNode("a", "Unknown");
    const key = "node.kubernetes.io/unreachable";
    node.spec = { taints: [{ key, effect: "NoExecute", timeAdded: "2026-01-01T00:00:00Z" }] };
    expect(keys(taintsAfter(node, "hold", "2026-01-01T00:00:10Z"))).toEqual(["unreachable:NoSchedule"]);
    // One that was lost long before stays.
    expect(keys(taintsAfter(node, "hold", "2026-01-01T00:10:00Z"))).toContain("unreachable:NoExecute");
  });

  test("a board whose supply is too weak is avoided, as the cluster wants it", () => {
    const node = readyNode("a");
    node.status = { conditions: [...(node.status?.conditions ?? []), { type: "Undervoltage", status: "True" }] };
    expect(taintsAfter(node, "evict", "t")).toBeUndefined();
    node.spec = { taints: taintsAfter(node, "evict", "t", "PreferNoSchedule") ?? [] };
    expect(keys(node.spec.taints)).toEqual(["undervoltage:PreferNoSchedule"]);
    expect(keys(taintsAfter(node, "evict", "t", "NoSchedule"))).toEqual(["undervoltage:NoSchedule"]);
    node.status = readyNode("a").status ?? {};
    expect(taintsAfter(node, "evict", "t", "PreferNoSchedule")).toEqual([]);
  });

  test("when a fleet counts as down", () => {
    const nodes = (well: number, not: number) => ({ nodes: well + not, well });
    expect(fleetState(nodes(1, 1))).toBe("normal");
    expect(fleetState(nodes(1, 2))).toBe("normal");
    expect(fleetState(nodes(2, 3))).toBe("partly disrupted");
    expect(fleetState(nodes(0, 1))).toBe("disrupted");
    expect(fleetState(nodes(5, 3))).toBe("normal");
  });

  test("a node that has to wait for its turn keeps what it has", () => {
    const node = readyNode("a", "Unknown");
    expect(keys(taintsAfter(node, "wait", "t"))).toEqual(["unreachable:NoSchedule"]);
    node.spec = { taints: [{ key: "node.kubernetes.io/not-ready", effect: "NoExecute", timeAdded: "t" }] };
    expect(keys(taintsAfter(node, "wait", "t"))).toContain("not-ready:NoExecute");
  });

  test("how fast boards may lose their pods", () => {
    const pace = (...zones: (readonly [well: number, not: number])[]) => {
      const census = new FleetCensus();
      zones.forEach(([well, not], zone) => {
        for (let node = 0; node < well + not; node++) census.set(`${zone}/${node}`, `${zone}`, node < well);
      });
      return census.pace("0");
    };
    expect(pace([5, 1])).toEqual({ kind: "rate", perSecond: 0.1 });
    expect(pace([2, 3])).toEqual({ kind: "rate", perSecond: 0 });
    expect(pace([20, 40])).toEqual({ kind: "rate", perSecond: 0.01 });
    expect(pace([0, 3])).toEqual({ kind: "take back" });
    // A zone that failed by itself is emptied.
    expect(pace([0, 3], [2, 1])).toEqual({ kind: "rate", perSecond: 0.1 });
    expect(pace([0, 3], [0, 2])).toEqual({ kind: "take back" });
  });

  test("a change of one node is for all to look at only when it changes a pace", () => {
    const census = new FleetCensus();
    for (const name of ["a", "b", "c", "d", "e"]) expect(census.set(name, "z", true)).toBe(false);
    expect(census.set("a", "z", false)).toBe(false);
    expect(census.set("b", "z", false)).toBe(false);
    expect(census.set("c", "z", false)).toBe(true);
    expect(census.set("c", "z", false)).toBe(false);
    expect(census.set("d", "z", false)).toBe(false);
    expect(census.set("e", "z", false)).toBe(true);
    expect(census.isAllDown).toBe(true);
    expect(census.set("f", "y", true)).toBe(true);
    // It moves to a zone that is down, which then is not all down.
    expect(census.set("f", "z", true)).toBe(true);
    expect(census.pace("z")).toEqual({ kind: "rate", perSecond: 0 });
    expect(census.delete("f")).toBe(true);
    expect(census.delete("f")).toBe(false);
    for (const name of ["a", "b", "c", "d"]) expect(census.delete(name)).toBe(false);
    expect(census.delete("e")).toBe(true);
    expect(census.isAllDown).toBe(false);
  });

  test("each zone is told of with how many of its boards are well, and what was begun to be emptied", () => {
    const census = new FleetCensus();
    const zone = zoneOf({ ...readyNode("a"), metadata: { labels: { "topology.kubernetes.io/zone": "shed" } } });
    for (const name of ["a", "b", "c", "d"]) census.set(name, zone, name !== "d");
    census.set("e", zoneOf(readyNode("e")), true);
    const counts = new ZoneCounts();
    counts.evicted(zone);
    const samples = counts
      .families(census.zones)
      .flatMap(({ name, samples }) => samples.map(({ labels, value }) => [name, labels["zone"], value]));
    expect(samples).toEqual([
      ["node_collector_zone_health", ":\0:shed", 75],
      ["node_collector_zone_health", "", 100],
      ["node_collector_zone_size", ":\0:shed", 4],
      ["node_collector_zone_size", "", 1],
      ["node_collector_unhealthy_nodes_in_zone", ":\0:shed", 1],
      ["node_collector_unhealthy_nodes_in_zone", "", 0],
      ["node_collector_evictions_total", ":\0:shed", 1],
      ["node_collector_evictions_total", "", 0],
    ]);
  });

  test("boards lose their pods one after the other, in each zone", () => {
    const turns = new EvictionTurns();
    expect(turns.take("z", "a", 0.1, 1_000)).toBe(0);
    expect(turns.take("z", "a", 0.1, 1_500)).toBe(0);
    expect(turns.take("z", "b", 0.1, 2_000)).toBe(9_000);
    expect(turns.take("y", "c", 0.1, 2_000)).toBe(0);
    turns.forget("z", "a");
    expect(turns.take("z", "a", 0.1, 3_000)).toBe(8_000);
    expect(turns.take("z", "b", 0.1, 11_000)).toBe(0);
  });

  test("boards that are missing after all was down are given time to come back, one after the other", () => {
    const turns = new EvictionTurns();
    expect(turns.returning_ms(0)).toBe(0);
    turns.noteFleet(true, 1_000);
    // However long that was: they come when the first one does.
    turns.noteFleet(false, 601_000);
    turns.noteFleet(false, 602_000);
    expect(turns.returning_ms(602_000)).toBe(19_000);
    expect(turns.returning_ms(630_000)).toBe(0);
  });

  test("how long a pod may stay", () => {
    const taint = { key: "k", effect: "NoExecute" };
    expect(tolerated_s([taint], [])).toBe(0);
    expect(tolerated_s([taint], [{ operator: "Exists" }])).toBe(Number.POSITIVE_INFINITY);
    expect(
      tolerated_s(
        [taint],
        [
          { operator: "Exists", tolerationSeconds: 60 },
          { key: "k", operator: "Exists", tolerationSeconds: 30 },
        ],
      ),
    ).toBe(60);
    const other = { key: "other", effect: "NoExecute" };
    const tolerations = [
      { key: "k", operator: "Exists" },
      { operator: "Exists", tolerationSeconds: 30 },
    ];
    expect(tolerated_s([taint], tolerations)).toBe(Number.POSITIVE_INFINITY);
    expect(tolerated_s([taint, other], tolerations)).toBe(30);
  });
});

test("ranges of pod addresses", () => {
  const pool = new CidrPool("10.42.0.0/16", 24);
  expect(pool.free(new Set())).toBe("10.42.0.0/24");
  expect(pool.free(new Set(["10.42.0.0/24", "10.42.1.0/24"]))).toBe("10.42.2.0/24");
  expect(new CidrPool("192.168.0.0/23", 24).free(new Set(["192.168.0.0/24", "192.168.1.0/24"]))).toBeUndefined();
  expect(() => new CidrPool("10.42.0.0/25", 24)).toThrow(RangeError);
  const six = new CidrPool("fd42:0:0:ff00::/56", 64);
  expect(six.free(new Set(["fd42:0:0:ff00::/64"]))).toBe("fd42:0:0:ff01::/64");
  expect(() => new CidrPool("fd42::/112", 64)).toThrow(RangeError);
});

test("a board that is lost and back again and again gets time to come back", () => {
  const node = readyNode("a");
  const at = (state: string, session: number): Lease => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { annotations: { [sessionStateAnnotation]: state, [sessionIdAnnotation]: `boot/${session}` } },
    spec: { renewTime: "2026-01-01T00:00:00.000000Z" },
  });
  /** Verdicts at each of some losses, 30 s apart, each `away_ms` long; then at times after a last one. */
  const verdicts = (away_ms: number, ...after_ms: number[]): string[] => {
    let heard = hear(node, at("online", 0), undefined, 0);
    let now_ms = 0;
    const judged = (session: number, late_ms: number): string =>
      judge(node, at("lost", session), heard, heard, now_ms + late_ms, defaultHealthSettings).kind;
    const seen: string[] = [];
    for (let session = 0; session < 4; session++) {
      now_ms += 30_000;
      heard = hear(node, at("lost", session), heard, now_ms);
      seen.push(judged(session, 0));
      heard = hear(node, at("online", session + 1), heard, now_ms + away_ms);
    }
    now_ms += 30_000;
    heard = hear(node, at("lost", 4), heard, now_ms);
    return [...seen, ...after_ms.map((late_ms) => judged(4, late_ms))];
  };
  const [yes, no] = ["reachable", "unreachable"];
  expect(verdicts(500, 0, 19_000, 20_000)).toEqual([no, no, no, yes, yes, yes, no] as string[]);
  // One that stays away longer is not flapping: it dies often.
  expect(verdicts(15_000, 0)).toEqual([no, no, no, no, no] as string[]);
});

describe("controllers", () => {
  let harness: Harness<RecordingClient>;
  afterEach(() => harness.stop());

  const lease = (node: string, renewTime: string, state = "online"): Lease => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: node,
      namespace: "kube-node-lease",
      annotations: { [sessionStateAnnotation]: state, [sessionIdAnnotation]: "boot/1" },
    },
    spec: { holderIdentity: node, leaseDurationSeconds: 40, renewTime },
  });
  const renew = async (node: string, renewTime: string, state?: string): Promise<void> => {
    const key = { namespace: "kube-node-lease", name: node };
    const next = lease(node, renewTime, state);
    const { annotations } = next.metadata;
    await updateLatest(harness.client, leases, key, ({ metadata }) => ({
      ...next,
      metadata: { ...metadata, annotations },
    }));
  };
  const ready = async (name: string) =>
    (await harness.client.get(nodes, { name })).status?.conditions?.find(({ type }) => type === "Ready")?.status;

  /** Whether the controller has taken in all nodes and Leases as they stand, and has nothing to do before its clock moves. */
  const hasCaughtUp = async ({ queue }: RunningController): Promise<boolean> => {
    const { client, informers } = harness;
    const isAt = <T extends KubeObject>(ref: ResourceRef<T>, objects: readonly T[], scope?: ReadScope): boolean => {
      const { lister } = informers.informer(ref, scope);
      return objects.every((one) => lister.get(keyOf(one))?.metadata.resourceVersion === one.metadata.resourceVersion);
    };
    if (queue.busy) return false;
    const written = client.writes.length;
    const [allNodes, allLeases] = [await client.list(nodes), await client.list(leases, leaseScope)];
    const isCurrent = isAt(nodes, allNodes.items) && isAt(leases, allLeases.items, leaseScope);
    return isCurrent && !queue.busy && client.writes.length === written;
  };
  /** Waits until that, and the condition, hold. The clock moves, by which refused writes are tried again, but by less than
   *  any grace however long it takes. */
  const settled = (
    running: RunningController,
    clock: ManualClock,
    what: string,
    condition: () => Promise<boolean> = async () => true,
  ): Promise<void> =>
    eventually(async () => {
      await clock.advance(1);
      return (await hasCaughtUp(running)) && condition();
    }, what);

  test("every node gets a range of its own", async () => {
    harness = await Harness.onApiServer();
    await harness.run(nodeIpamController());
    for (const name of ["a", "b", "c"]) await harness.client.create(nodes, testNode(name));
    const ranges = async () => (await harness.client.list(nodes)).items.map(({ spec }) => spec?.podCIDR);
    await eventually(async () => (await ranges()).every((cidr) => cidr !== undefined));
    expect(new Set(await ranges())).toEqual(new Set(["10.42.0.0/24", "10.42.1.0/24", "10.42.2.0/24"]));
  });

  test("in a cluster of two families every node gets a range of each; one that has a range keeps it", async () => {
    harness = await Harness.onApiServer();
    await harness.client.create(nodes, {
      ...testNode("old"),
      spec: { podCIDR: "10.42.0.0/24", podCIDRs: ["10.42.0.0/24"] },
    });
    await harness.run(nodeIpamController("10.42.0.0/16,fd42::/56"));
    await harness.client.create(nodes, testNode("new"));
    const rangesOf = async (name: string) => (await harness.client.get(nodes, { name })).spec?.podCIDRs;
    await eventually(async () => (await rangesOf("new")) !== undefined);
    expect(await rangesOf("new")).toEqual(["10.42.1.0/24", "fd42::/64"]);
    expect(await rangesOf("old")).toEqual(["10.42.0.0/24"]);
  });

  const evictionsTold = (): number | undefined =>
    processFamilies().find(({ name }) => name === "node_collector_evictions_total")?.samples[0]?.value;

  test("a lost session makes a node unreachable at once, its pods not ready, and evicts them in time", async () => {
    resetTables();
    harness = await Harness.onApiServer();
    const { client } = harness;
    const clock = new ManualClock();
    for (const name of ["a", "b"]) {
      await client.create(nodes, readyNode(name));
      await client.create(leases, lease(name, "2026-01-01T00:00:00.000000Z"));
    }
    const tolerations = [
      { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 60 },
    ];
    const status = { conditions: [{ type: "Ready", status: "True" }] };
    await client.create(pods, testPod("p", { nodeName: "a", tolerations }, { status }));
    await harness.run(nodeLifecycleController({ ...defaultHealthSettings, grace_ms: 3_600_000 }), clock);
    await harness.run(taintEvictionController(), clock);
    await renew("a", "2026-01-01T00:00:00.000000Z", "lost");
    // A write that meets a conflict is tried again by the controllers' clock.
    const soon = (condition: () => Promise<boolean>, what: string) =>
      eventually(async () => {
        await clock.advance(5);
        return condition();
      }, what);
    await soon(async () => (await ready("a")) === "Unknown", "a Unknown");
    expect(await ready("b")).toBe("True");
    const pod = () => client.get(pods, { namespace: "default", name: "p" });
    await soon(async () => (await pod()).status?.conditions?.[0]?.status === "False", "p not ready");
    const taints = async () => (await client.get(nodes, { name: "a" })).spec?.taints ?? [];
    await soon(async () => (await taints()).some(({ effect }) => effect === "NoExecute"), "tainted");
    await soon(async () => evictionsTold() === 1, "the eviction told");
    await clock.advance(1_000);
    expect(client.count("delete pods")).toBe(0);
    await clock.advance(60_000);
    await eventually(() => client.count("delete pods default/p") === 1, "p evicted");
    await eventually(() => told(taintDeletions.family())[""] === 1, "the deletion told");
  });

  test("a board that says itself that it is not ready goes on telling how its pods are", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    for (const name of ["a", "b"]) await client.create(nodes, readyNode(name));
    const status = { conditions: [{ type: "Ready", status: "True" }] };
    await client.create(pods, testPod("p", { nodeName: "a" }, { status }));
    await harness.run(nodeLifecycleController({ ...defaultHealthSettings, grace_ms: 3_600_000 }));
    await eventually(() => harness.recorded.some((line) => line.includes("Registered Node a")), "a registered");
    const body = { status: { conditions: [{ type: "Ready", status: "False" }] } };
    await client.patch(nodes, { name: "a" }, { type: "strategic", body }, { subresource: "status" });
    const taints = async () => (await client.get(nodes, { name: "a" })).spec?.taints ?? [];
    await eventually(async () => (await taints()).length > 0, "tainted");
    expect((await client.get(pods, { namespace: "default", name: "p" })).status?.conditions?.[0]?.status).toBe("True");
    expect(harness.recorded.filter((line) => line.includes("NodeNotReady"))).toEqual([]);
  });

  test("pods of a node that stays away are read when it goes and when one of them becomes ready, and not again", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    const clock = new ManualClock();
    await client.create(nodes, readyNode("a", "Unknown"));
    await client.create(leases, lease("a", "2026-01-01T00:00:00.000000Z", "lost"));
    const status = { conditions: [{ type: "Ready", status: "True" }] };
    await client.create(pods, testPod("p", { nodeName: "a" }, { status }));
    const running = await harness.run(nodeLifecycleController(), clock);
    const told = () => client.count("patch pods/status");
    await eventually(() => told() === 1 && !running.queue.busy, "p not ready");
    // A refused write is made up for, though the node is not newly lost then.
    await client.create(pods, testPod("q", { nodeName: "a" }));
    const key = { namespace: "default", name: "q" };
    const patch = client.patch.bind(client);
    let refusals = 1;
    client.patch = ((ref, ...rest) =>
      ref.plural === "pods" && refusals-- > 0
        ? Promise.reject(new Error("away"))
        : patch(ref, ...rest)) as typeof patch;
    await updateLatest(client, pods, key, (pod) => ({ ...pod, status }), { subresource: "status" });
    await eventually(async () => {
      await clock.advance(10);
      const { conditions } = (await client.get(pods, key)).status ?? {};
      return conditions?.[0]?.status === "False";
    }, "q not ready");
    expect(refusals).toBeLessThan(1);
  });

  test("a board with a bad link that is lost with all others keeps their pods from being evicted", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    const clock = new ManualClock();
    const renewTime = "2026-01-01T00:00:00.000000Z";
    for (const name of ["good", "bad"]) {
      await client.create(nodes, readyNode(name));
      await client.create(leases, lease(name, renewTime));
    }
    const running = await harness.run(nodeLifecycleController(), clock);
    await eventually(() => harness.recorded.length === 2);
    const taints = async () => (await client.get(nodes, { name: "good" })).spec?.taints ?? [];
    const isBeingEmptied = async () => (await taints()).some(({ effect }) => effect === "NoExecute");
    const reaches = (name: string, status: string) => async () => (await ready(name)) === status;
    for (let round = 1; round <= defaultHealthSettings.quickReturns; round++) {
      await renew("bad", renewTime, "lost");
      await settled(running, clock, `loss ${round}`, reaches("bad", "Unknown"));
      // It is back and says so. A real board would say so again if it saw that overruled for an older Lease.
      await renew("bad", `2026-01-01T00:00:0${round}.000000Z`);
      await settled(running, clock, `session ${round}`);
      const status = readyNode("bad").status ?? {};
      await updateLatest(client, nodes, { name: "bad" }, (node) => ({ ...node, status }), { subresource: "status" });
      await settled(running, clock, `return ${round}`, reaches("bad", "True"));
    }
    await renew("good", renewTime, "lost");
    await settled(running, clock, "the good one is lost", reaches("good", "Unknown"));
    // The other was being emptied before: it has to wait for its turn.
    await clock.advance(10_000);
    await settled(running, clock, "the good one is being emptied", isBeingEmptied);
    expect(await ready("bad")).toBe("True");
    await renew("bad", "2026-01-01T00:00:03.000000Z", "lost");
    await settled(running, clock, "taken back", async () => !(await isBeingEmptied()));
    expect(await ready("bad")).toBe("True");
  });

  test("silence makes a node unreachable after the grace, an announced leave later", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    const clock = new ManualClock();
    for (const name of ["a", "b", "c"]) {
      await client.create(nodes, readyNode(name));
      await client.create(leases, lease(name, "2026-01-01T00:00:00.000000Z"));
    }
    const running = await harness.run(nodeLifecycleController(), clock);
    await eventually(() => harness.recorded.length === 3);
    // Whoever has not been heard of since the controller began has longer: the master itself may have been away.
    await clock.advance(25_000);
    await settled(running, clock, "nothing heard yet");
    for (const name of ["a", "b", "c"]) expect(await ready(name)).toBe("True");
    for (const name of ["a", "b", "c"]) await renew(name, "2026-01-01T00:00:05.000000Z");
    await settled(running, clock, "all heard");
    await clock.advance(15_000);
    await renew("a", "2026-01-01T00:00:10.000000Z");
    await renew("b", "2026-01-01T00:00:00.000000Z", "leaving");
    await settled(running, clock, "a and b heard again");
    await clock.advance(6_000);
    await settled(running, clock, "c Unknown", async () => (await ready("c")) === "Unknown");
    expect(await ready("a")).toBe("True");
    expect(await ready("b")).toBe("True");
    await clock.advance(15_000);
    await settled(running, clock, "a Unknown", async () => (await ready("a")) === "Unknown");
    expect(await ready("b")).toBe("True");
  });
});
