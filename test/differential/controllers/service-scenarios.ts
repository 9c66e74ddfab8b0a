import { bareSpec, workload } from "./manifests.ts";
import { type Fields, isRunning, type Scenario, type World } from "./world.ts";

const service = (world: World, name: string, spec: Fields = {}, metadata: Fields = {}): Promise<unknown> =>
  world.create("Service", name, { spec: { selector: { app: "web" }, ports: [{ port: 80 }], ...spec } }, metadata);
const pod = (world: World, name: string, ports: readonly object[] = [], more: Fields = {}): Promise<unknown> =>
  world.create(
    "Pod",
    name,
    { spec: { containers: [{ name: "main", image: "example/app:1", ports: [...ports] }], ...more } },
    { labels: { app: "web" } },
  );
const web = (containerPort: number, name = "http", protocol = "TCP"): object => ({ name, containerPort, protocol });

export const serviceScenarios: readonly Scenario[] = [
  {
    name: "service-ports",
    async play(world) {
      const ports = [
        { name: "http", port: 80, targetPort: "http", appProtocol: "kubernetes.io/h2c" },
        { name: "dns", port: 53, targetPort: "dns", protocol: "UDP" },
        { name: "plain", port: 8080, targetPort: 9090 },
      ];
      await service(
        world,
        "web",
        { ports },
        { labels: { team: "a", "service.kubernetes.io/headless": "x" }, annotations: { note: "x" } },
      );
      await world.settle("no pods");
      await pod(world, "a", [web(8080)]);
      await pod(world, "b", [web(8081), web(5353, "dns", "UDP")], { hostname: "b", subdomain: "web" });
      await pod(world, "c", [], { hostname: "c", subdomain: "other" });
      await world.settle("waiting");
      await world.runAll();
      await world.settle("running");
      const [first, second] = world.pods(isRunning);
      if (first) await world.unready(first);
      await world.settle("one not ready");
      await world.delete("Pod", second?.metadata.name ?? "");
      await world.settle("one ends");
      if (second) await world.unready(second);
      await world.settle("it is not ready");
      if (second) await world.finish(second);
      await world.settle("it is gone");
      await world.patch("Service", "web", {
        metadata: { labels: { team: null, other: "b" } },
        spec: { ports: [{ name: "one", port: 1, protocol: "TCP", targetPort: 1 }] },
      });
      await world.settle("other ports");
      await world.patch("Service", "web", { spec: { selector: { app: "nobody" } } });
      await world.settle("nobody");
      await world.delete("Service", "web");
      await world.settle("gone");
    },
  },
  {
    name: "service-headless",
    async play(world) {
      await service(world, "web", { clusterIP: "None", ports: [] });
      await service(world, "early", { clusterIP: "None", publishNotReadyAddresses: true });
      await service(
        world,
        "tolerant",
        {},
        { annotations: { "service.alpha.kubernetes.io/tolerate-unready-endpoints": "true" } },
      );
      await pod(world, "a", [], { hostname: "a", subdomain: "web" });
      await pod(world, "b");
      await world.runAll();
      await world.settle("running");
      const [first, second] = world.pods(isRunning);
      if (first) await world.unready(first);
      await world.delete("Pod", second?.metadata.name ?? "");
      await world.settle("mixed");
      await pod(world, "c");
      await world.runAll();
      await world.settle("another");
      for (const each of world.pods(({ metadata }) => metadata.name === "c")) await world.succeed(each);
      await world.settle("ended");
    },
  },
  {
    name: "service-names",
    async play(world) {
      await service(world, "outside", { type: "ExternalName", externalName: "example.com", selector: { app: "web" } });
      await pod(world, "a");
      await world.runAll();
      await world.settle("a name");
      await world.patch("Service", "outside", { spec: { type: "ClusterIP", externalName: null } });
      await world.settle("an address");
      await world.patch("Service", "outside", {
        spec: { type: "ExternalName", externalName: "example.com", clusterIP: null, clusterIPs: null },
      });
      await world.settle("a name again");
    },
  },
  {
    name: "service-mirrored",
    async play(world) {
      const address = (ip: string, more: Fields = {}): Fields => ({ ip, ...more });
      await service(world, "web", { selector: null });
      await world.settle("no endpoints");
      const subsets = [
        {
          addresses: [address("192.0.2.1", { hostname: "one" }), address("192.0.2.2", { nodeName: "node-1" })],
          notReadyAddresses: [address("192.0.2.3")],
          ports: [
            { name: "http", port: 80 },
            { name: "u", port: 53, protocol: "UDP" },
          ],
        },
        { addresses: [address("192.0.2.1")], ports: [{ name: "other", port: 81, appProtocol: "x" }] },
      ];
      await world.create(
        "Endpoints",
        "web",
        { subsets },
        {
          labels: { mine: "x" },
          annotations: { note: "y", "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z" },
        },
      );
      await world.settle("mirrored");
      await world.patch("Endpoints", "web", {
        metadata: { labels: { mine: "z" } },
        subsets: [{ addresses: [{ ip: "2001:db8::1" }, { ip: "192.0.2.9" }], ports: [{ port: 1 }] }],
      });
      await world.settle("changed");
      await world.patch("Endpoints", "web", {
        metadata: { labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
      });
      await world.settle("skipped");
      await world.patch("Endpoints", "web", {
        metadata: { labels: { "endpointslice.kubernetes.io/skip-mirror": null } },
      });
      await world.settle("mirrored again");
      await world.delete("Endpoints", "web");
      await world.settle("deleted");
      await world.create("Endpoints", "lonely", {
        subsets: [{ addresses: [{ ip: "192.0.2.7" }], ports: [{ port: 1 }] }],
      });
      await world.settle("without a Service");
      await service(world, "lonely", { selector: null, ports: [{ port: 1 }] });
      await world.settle("with one");
      await world.patch("Service", "lonely", { spec: { selector: { app: "web" } } });
      await world.settle("with a selector");
      await world.patch("Endpoints", "lonely", { subsets: [] });
      await world.settle("emptied by hand");
    },
  },
  {
    name: "service-many",
    async play(world) {
      await world.create("ReplicaSet", "web", workload("web", 105));
      await world.until(() => world.pods().length === 105, "the pods");
      await world.runAll();
      await world.settle("running");
      await service(world, "web");
      await world.settle("two slices");
      await world.patch("ReplicaSet", "web", { spec: { replicas: 0 } });
      await world.roll("none", { one: false });
    },
  },
  {
    name: "service-zones",
    async play(world) {
      // While one node tells no zone, there are no hints by CPUs; others of the suite have such nodes at times.
      await world.node("zoneless");
      await service(world, "same-zone", { trafficDistribution: "PreferSameZone" });
      await service(world, "same-node", { trafficDistribution: "PreferSameNode" });
      await service(world, "close", { trafficDistribution: "PreferClose" });
      await service(world, "auto", {}, { annotations: { "service.kubernetes.io/topology-mode": "Auto" } });
      for (const name of ["a", "b", "c"]) await pod(world, name);
      for (const [index, each] of world.pods().entries()) await world.run(each, { node: `node-${index + 1}` });
      await world.settle("hints");
      const [first] = world.pods(isRunning);
      if (first) await world.unready(first);
      await world.settle("one not ready");
      await world.patch("Service", "close", { spec: { trafficDistribution: null } });
      await world.settle("no hints");
    },
  },
  {
    name: "service-changed-by-hand",
    async play(world) {
      await service(world, "web");
      await pod(world, "a");
      await world.runAll();
      await world.settle("made");
      const [slice] = world.room.all("EndpointSlice");
      const name = slice?.metadata.name ?? "";
      await world.patch("EndpointSlice", name, { endpoints: [] });
      await world.settle("emptied");
      await world.delete("EndpointSlice", name);
      await world.until(
        () => world.room.all("EndpointSlice").some(({ metadata }) => metadata.name !== name),
        "another",
      );
      await world.settle("deleted");
      await world.delete("Endpoints", "web");
      await world.settle("endpoints deleted");
    },
  },
  {
    name: "service-host-network",
    async play(world) {
      await service(world, "web", {
        ports: [{ name: "web", port: 80, targetPort: "http" }],
        internalTrafficPolicy: "Local",
        sessionAffinity: "ClientIP",
      });
      await world.create(
        "Pod",
        "sidecar",
        bareSpec("x", {
          initContainers: [
            { name: "side", image: "x", restartPolicy: "Always", ports: [{ name: "http", containerPort: 7 }] },
          ],
        }),
        { labels: { app: "web" } },
      );
      await pod(world, "host", [{ name: "http", containerPort: 8, hostPort: 8 }], { hostNetwork: true });
      await world.runAll();
      await world.settle("running");
    },
  },
];
