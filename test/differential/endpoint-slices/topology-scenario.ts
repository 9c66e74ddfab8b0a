import { nodes } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { workload } from "../controllers/manifests.ts";
import { isPending, isRunning, type Scenario, type World } from "../controllers/world.ts";

const zone = "topology.kubernetes.io/zone";
const mode = "service.kubernetes.io/topology-mode";

/** What the nodes of the whole cluster have counts here. */
const giveCpus = (world: World, name: string, cpu: string): Promise<unknown> =>
  world.client.patch(
    nodes,
    { name },
    { type: "strategic", body: { status: { allocatable: { cpu } } } },
    { subresource: "status" },
  );
const giveZone = (world: World, name: string, label: string | null): Promise<void> =>
  world.patchNode(name, { metadata: { labels: { [zone]: label } } });
/** Has the controller look at the Service. */
const nudge = (world: World, label: string): Promise<void> =>
  world.patch("Service", "web", { metadata: { labels: { looked: label } } });
const runOn = async (world: World, node: string, count: number): Promise<void> => {
  for (const pod of world.pods(isPending).slice(0, count)) await world.run(pod, { node });
};
const on =
  (node: string) =>
  (pod: Pod): boolean =>
    isRunning(pod) && pod.spec?.nodeName === node;

/** Hints by zones in the measure of their CPUs (KEP-2433). */
export const topologyScenario: Scenario = {
  name: "hints-by-cpus",
  async play(world) {
    // Upstream looks at the CPUs of nodes when the zone of one changes.
    const other = await world.node("other", { "node-role.kubernetes.io/control-plane": "" });
    const auto = { annotations: { [mode]: "Auto" } };
    const spec = { selector: { app: "web" }, ports: [{ port: 80 }] };
    await world.create("ReplicaSet", "web", workload("web", 3));
    await world.until(() => world.pods(isPending).length === 3, "three pods");
    for (const node of ["node-1", "node-2", "node-3"]) await runOn(world, node, 1);
    await world.create("Service", "web", { spec }, auto);
    await world.settle("one in each zone");
    const [unready] = world.pods(on("node-1"));
    if (unready) await world.unready(unready);
    await world.settle("too few");
    await world.patch("Service", "web", { metadata: { annotations: { [mode]: null } } });
    await world.patch("ReplicaSet", "web", { spec: { replicas: 7 } });
    await world.until(() => world.pods(isPending).length === 4, "more pods");
    await runOn(world, "node-1", 4);
    await world.settle("more, and no hints are asked for");
    await world.patch("Service", "web", { metadata: auto });
    await world.settle("uneven");
    await giveCpus(world, "node-1", "20");
    await giveZone(world, other, "1");
    await world.settle("a little more CPU");
    await giveCpus(world, "node-1", "64");
    await giveZone(world, other, "2");
    await world.settle("much more CPU");
    await giveCpus(world, "node-1", "16");
    await giveZone(world, other, "3");
    await nudge(world, "once");
    await world.settle("as before");
    await giveZone(world, "node-2", null);
    await world.settle("a node without a zone");
    await nudge(world, "again");
    await world.settle("nor is there when it is looked at");
    await giveZone(world, "node-2", "zone-1");
    await nudge(world, "twice");
    await world.settle("two zones");
    await world.patchNode("node-3", { metadata: { labels: { "node-role.kubernetes.io/control-plane": "" } } });
    await giveZone(world, other, "4");
    await nudge(world, "thrice");
    await world.settle("the control plane's does not count");
    await world.patchNode("node-3", { metadata: { labels: { "node-role.kubernetes.io/control-plane": null } } });
    await giveZone(world, "node-2", "zone-2");
    await nudge(world, "anew");
    await world.settle("three zones again");
    await world.patch("Service", "web", { spec: { trafficDistribution: "PreferSameZone" } });
    await world.settle("the annotation is stronger");
    await world.patch("Service", "web", {
      metadata: { annotations: { [mode]: null } },
    });
    await world.settle("the distribution alone");
    await world.patch("Service", "web", { spec: { trafficDistribution: null } });
    await world.settle("none");
  },
};
