import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { bareSpec, workload } from "../controllers/manifests.ts";
import { type Fields, isEnding, isPending, isRunning, type Scenario, type World } from "../controllers/world.ts";
import { topologyScenario } from "./topology-scenario.ts";

const service = (world: World, name: string, spec: Fields = {}, metadata: Fields = {}): Promise<unknown> =>
  world.create("Service", name, { spec: { selector: { app: "web" }, ports: [{ port: 80 }], ...spec } }, metadata);

const pod = (world: World, name: string): Promise<Pod> =>
  world.create("Pod", name, bareSpec(), { labels: { app: "web" } });

const podsIn = (world: World, slice: EndpointSlice): Pod[] => {
  const names = new Set(slice.endpoints.map(({ targetRef }) => targetRef?.name));
  return world.room.all<Pod>("Pod").filter(({ metadata }) => names.has(metadata.name));
};

/** Some at once, for there are very many. */
async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<unknown>, atOnce = 16): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item);
    }),
  );
}

const addAddress = (world: World, { status, ...rest }: Pod, ip: string): Promise<void> =>
  world.report({ ...rest, status } as Pod, { podIPs: [...(status?.podIPs ?? []), { ip }] });

/** Such a node's CPUs do not count where hints are given by CPUs, so that it may come and go beside the scenario of these. */
const uncounted = { "node-role.kubernetes.io/control-plane": "" };

export const endpointSliceScenarios: readonly Scenario[] = [
  {
    name: "very-many-endpoints",
    leavesOut: ["Pod"],
    async play(world) {
      await world.create("ReplicaSet", "web", workload("web", 1050));
      // Not in any order: that takes long with so many.
      const pods = (is: (pod: Pod) => boolean): Pod[] => world.room.all<Pod>("Pod").filter(is);
      await world.until(() => pods(isPending).length === 1050, "the pods");
      await inParallel(pods(isPending), (each) => world.run(each));
      await world.settle("running");
      await service(world, "web");
      await world.until(() => world.room.all("EndpointSlice").length === 11, "the slices");
      await world.settle("more than fit into Endpoints");
      const slices = world.room.all<EndpointSlice>("EndpointSlice");
      const last = slices.filter(({ endpoints }) => endpoints.length === 50).flatMap((slice) => podsIn(world, slice));
      const [full] = slices.filter(({ endpoints }) => endpoints.length === 100);
      const unready = [...last, ...(full ? podsIn(world, full).slice(0, 10) : [])];
      await inParallel(unready, (each) => world.unready(each));
      await world.settle("some are not ready");
      await world.patch("ReplicaSet", "web", { spec: { replicas: 990 } });
      await world.until(() => pods(isEnding).length === 60, "those that end");
      await inParallel(pods(isEnding), (each) => world.finish(each));
      await world.settle("they fit again");
    },
  },
  {
    name: "pods-of-absent-nodes",
    async play(world) {
      await service(world, "web");
      await service(world, "early", { publishNotReadyAddresses: true });
      const absent = await pod(world, "a");
      const there = await pod(world, "b");
      await world.run(there);
      await world.run(absent, { node: `${world.namespace}-late` });
      await world.settle("absent");
      await world.node("late", { ...uncounted, "topology.kubernetes.io/zone": "late" });
      await world.until(
        () => JSON.stringify(world.room.all("EndpointSlice")).split('"a"').length > 2,
        "the endpoint in both",
      );
      await world.settle("there");
    },
  },
  {
    name: "ending-endpoints",
    async play(world) {
      await service(world, "web");
      await service(world, "early", { publishNotReadyAddresses: true });
      await service(world, "headless", { clusterIP: "None" });
      for (const name of ["a", "b", "c"]) await pod(world, name);
      await world.runAll();
      await world.settle("running");
      const [first, second, third] = world.pods(isRunning);
      for (const each of [first, second]) await world.delete("Pod", each?.metadata.name ?? "");
      if (second) await world.unready(second);
      await world.settle("two end, one of them still serves");
      if (third) await world.delete("Pod", third.metadata.name ?? "");
      await world.settle("all end");
      if (third) await world.succeed(third);
      if (first) await world.fail(first);
      await world.settle("two have ended");
    },
  },
  {
    name: "two-families",
    async play(world) {
      const both = { ipFamilyPolicy: "RequireDualStack" };
      await service(world, "both", both);
      await service(world, "six-first", { ...both, ipFamilies: ["IPv6", "IPv4"] });
      await service(world, "six", { ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv6"] });
      await service(world, "four");
      await service(world, "headless", { ...both, clusterIP: "None" });
      await world.settle("no pods");
      for (const name of ["a", "b"]) await pod(world, name);
      await world.runAll();
      await world.settle("IPv4 alone");
      const [first] = world.pods(isRunning);
      if (first) await addAddress(world, first, "2001:db8::1");
      await world.settle("one with both");
      await world.patch("Service", "both", { spec: { ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv4"] } });
      await world.settle("no more IPv6");
      await world.patch("Service", "four", { spec: { ipFamilyPolicy: "PreferDualStack" } });
      await world.settle("IPv6 too");
      if (first) await world.delete("Pod", first.metadata.name ?? "");
      for (const each of world.pods(isEnding)) await world.finish(each);
      await world.settle("IPv4 alone again");
    },
  },
  {
    name: "traffic-distribution",
    async play(world) {
      await service(world, "web", { trafficDistribution: "PreferSameNode" });
      for (const name of ["a", "b"]) await pod(world, name);
      const [first, second] = world.pods();
      const zoneless = await world.node("zoneless", uncounted);
      if (first) await world.run(first, { node: zoneless });
      if (second) await world.run(second, { node: "node-1" });
      await world.settle("the same node");
      await world.patch("Service", "web", { spec: { trafficDistribution: "PreferSameZone" } });
      await world.settle("the same zone");
      await world.patchNode(zoneless, { metadata: { labels: { "topology.kubernetes.io/zone": "new" } } });
      await world.patch("Service", "web", { metadata: { labels: { looked: "again" } } });
      await world.settle("a zone of its own");
      await world.patchNode(zoneless, { metadata: { labels: { "topology.kubernetes.io/zone": null } } });
      await world.patch("Service", "web", { metadata: { labels: { looked: null } } });
      await world.settle("no zone any more");
      await world.patch("Service", "web", {
        metadata: { annotations: { "service.kubernetes.io/topology-mode": "Disabled" } },
        spec: { trafficDistribution: "PreferClose" },
      });
      await world.settle("an annotation that asks for nothing");
      await world.patch("Service", "web", { spec: { trafficDistribution: null } });
      await world.settle("anywhere");
    },
  },
  {
    name: "slices-of-others",
    async play(world) {
      const slice = (name: string, labels: Fields, more: Fields = {}): Promise<unknown> =>
        world.create(
          "EndpointSlice",
          name,
          {
            addressType: "IPv4",
            endpoints: [{ addresses: ["192.0.2.1"] }],
            ports: [{ name: "", port: 80, protocol: "TCP" }],
          },
          { labels, ...more },
        );
      const named = { "kubernetes.io/service-name": "web" };
      const managedBy = (manager: string): Fields => ({ ...named, "endpointslice.kubernetes.io/managed-by": manager });
      await slice("mine", named);
      await slice("staff", managedBy("staff"));
      await slice("stranger", managedBy("endpointslice-controller.k8s.io"));
      await slice("nobody", { ...managedBy("endpointslice-controller.k8s.io"), "kubernetes.io/service-name": "none" });
      await service(world, "web");
      await pod(world, "a");
      await world.runAll();
      await world.settle("theirs stay");
      await world.patch("EndpointSlice", "mine", {
        metadata: { labels: managedBy("endpointslice-controller.k8s.io") },
      });
      await world.settle("taken for the controller's");
    },
  },
  {
    name: "mirrored-families",
    async play(world) {
      await service(world, "web", { selector: null });
      await world.create("Endpoints", "web", {
        subsets: [
          {
            addresses: [{ ip: "192.0.2.1" }, { ip: "2001:db8::1" }],
            notReadyAddresses: [{ ip: "192.0.2.2" }, { ip: "2001:db8::2" }],
            ports: [{ port: 80 }],
          },
          { addresses: [{ ip: "192.0.2.3" }], ports: [{ port: 81, name: "x" }] },
          { addresses: [{ ip: "192.0.2.4" }] },
        ],
      });
      await world.settle("mirrored");
      await world.patch("Endpoints", "web", {
        subsets: [{ addresses: [{ ip: "2001:db8::9" }], ports: [{ port: 80 }] }],
      });
      await world.settle("one left");
      await world.patch("Endpoints", "web", { metadata: { annotations: { note: "x" }, labels: { team: "a" } } });
      await world.settle("labelled");
      await world.patch("Service", "web", { spec: { selector: { app: "web" } } });
      await world.settle("with a selector");
      await world.patch("Service", "web", { spec: { selector: null } });
      await world.settle("without one again");
      await world.patch("Endpoints", "web", {
        metadata: { annotations: { "control-plane.alpha.kubernetes.io/leader": "{}" } },
      });
      await world.settle("a leader's");
      await world.delete("Service", "web");
      await world.settle("without a Service");
    },
  },
  {
    name: "mirrored-very-many",
    async play(world) {
      await service(world, "web", { selector: null });
      const addresses = (count: number, from: number): Fields[] =>
        Array.from({ length: count }, (_, index) => ({ ip: `198.18.${from + (index >> 8)}.${index & 255}` }));
      await world.create("Endpoints", "web", {
        subsets: [{ addresses: addresses(990, 0), notReadyAddresses: addresses(30, 10), ports: [{ port: 80 }] }],
      });
      await world.settle("more than are mirrored");
      await world.patch("Endpoints", "web", { subsets: [{ addresses: addresses(250, 0), ports: [{ port: 80 }] }] });
      await world.settle("fewer");
    },
  },
  topologyScenario,
];
