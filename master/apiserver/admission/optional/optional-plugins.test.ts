import { describe, expect, test } from "bun:test";
import { configMaps, deployments, events, namespaces, pods, services } from "#shared/api/resources.ts";
import type { Event, Pod, PodSpec, Service, Toleration } from "#shared/api/types/core-v1.generated.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import { admit, writeOf } from "../../../../test/support/admission.ts";
import { admin, startTestServer } from "../../../../test/support/apiserver.ts";
import { MapReader } from "../../../../test/support/map-reader.ts";
import type { Authorizer } from "../../authz/authorizer.ts";
import { builtinDeclarations } from "../../resources/index.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { NamespaceLifecycle } from "../namespace-lifecycle.ts";
import { pluginChoiceOf } from "../plugin-choice.ts";
import { AlwaysDeny } from "./always-deny.ts";
import { AlwaysPullImages } from "./always-pull-images.ts";
import { LimitPodHardAntiAffinityTopology } from "./anti-affinity-topology.ts";
import { DenyServiceExternalIPs } from "./deny-service-external-ips.ts";
import { EventRateLimit } from "./event-rate-limit.ts";
import { ExtendedResourceToleration } from "./extended-resource-toleration.ts";
import { NamespaceAutoProvision } from "./namespace-auto-provision.ts";
import { OwnerReferencesPermissionEnforcement } from "./owner-references.ts";
import { PodNodeSelector } from "./pod-node-selector.ts";
import { noTolerationRules, PodTolerationRestriction } from "./pod-toleration-restriction.ts";

const podWith = (spec: Partial<PodSpec> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "blue" },
  spec: { containers: [{ name: "c", image: "web" }], ...spec },
});

/** The pod as it is after the plugin. */
async function admitted(plugin: AdmissionPlugin, pod: Pod): Promise<PodSpec> {
  await admit(plugin, writeOf(pods, pod));
  return pod.spec as PodSpec;
}

const readerWith = (annotations: Record<string, string>): MapReader =>
  new MapReader().put(namespaces, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "blue", annotations },
    spec: {},
  });

test("names of plugins are checked as upstream does", () => {
  const choice = (on: string[], off: string[] = []) =>
    pluginChoiceOf({ enableAdmissionPlugins: on, disableAdmissionPlugins: off });
  expect(choice(["NodeRestriction", "AlwaysPullImages"]).isEnabled("AlwaysPullImages")).toBe(true);
  expect(choice([], ["PodSecurity"]).isDisabled("PodSecurity")).toBe(true);
  expect(() => choice(["Nonsense"])).toThrow('enable-admission-plugins plugin "Nonsense" is unknown');
  expect(() => choice([], ["Nonsense"])).toThrow('disable-admission-plugins plugin "Nonsense" is unknown');
  expect(() => choice(["PodSecurity"], ["PodSecurity"])).toThrow(
    "[PodSecurity] in enable-admission-plugins and disable-admission-plugins overlapped",
  );
  expect(choice(["AlwaysDeny"]).isEnabled("AlwaysDeny")).toBe(true);
});

test("AlwaysDeny lets no write pass, nor a connection", () => {
  const why = 'pods "web" is forbidden: admission control is denying all modifications';
  const plugin = new AlwaysDeny();
  expect(() => plugin.mutate(writeOf(pods, podWith()))).toThrow(why);
  expect(() => plugin.validate(writeOf(pods, podWith(), { operation: "DELETE" }))).toThrow(why);
  expect([plugin.mutatesOn.includes("CONNECT"), plugin.seesConnections]).toEqual([true, true]);
});

test("NamespaceAutoProvision makes the namespace that something is made in, once, and for no dry run", async () => {
  const server = await startTestServer({
    guards: ({ reader, client }) => ({
      admission: [new NamespaceAutoProvision(reader, () => client(admin)), new NamespaceLifecycle(reader)],
    }),
  });
  try {
    const map = (namespace: string, name: string) => ({
      apiVersion: "v1" as const,
      kind: "ConfigMap" as const,
      metadata: { namespace, name },
    });
    await Promise.all(["a", "b"].map((name) => server.client.create(configMaps, map("new", name))));
    expect((await server.client.get(namespaces, { name: "new" })).status?.phase).toBe("Active");
    const dry = await server.fetch("/api/v1/namespaces/other/configmaps?dryRun=All", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(map("other", "a")),
    });
    expect([dry.status, ((await dry.json()) as { message: string }).message]).toEqual([
      404,
      'namespaces "other" not found',
    ]);
    const unnamed = server.client.create(configMaps, map("Not A Name", "a"));
    await expect(unnamed).rejects.toThrow(/Not A Name/);
  } finally {
    await server.stop();
  }
});

test("AlwaysPullImages has every image pulled, but asks nothing of an update without new ones", async () => {
  const spec = await admitted(
    new AlwaysPullImages(),
    podWith({ initContainers: [{ name: "i", image: "a", imagePullPolicy: "Never" }] }),
  );
  expect([...(spec.initContainers ?? []), ...spec.containers].map((one) => one.imagePullPolicy)).toEqual([
    "Always",
    "Always",
  ]);
  const update = writeOf(pods, podWith(), { operation: "UPDATE", oldObject: podWith() });
  await admit(new AlwaysPullImages(), update);
  expect((update.object as Pod).spec?.containers[0]?.imagePullPolicy).toBeUndefined();
});

test("LimitPodHardAntiAffinityTopology keeps pods from barring zones", async () => {
  const barring = (topologyKey: string) =>
    admitted(
      new LimitPodHardAntiAffinityTopology(),
      podWith({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey }] } } }),
    );
  await barring("kubernetes.io/hostname");
  await expect(barring("zone")).rejects.toThrow(
    'pods "web" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key kubernetes.io/hostname is allowed',
  );
});

test("DenyServiceExternalIPs lets a Service keep what it has", async () => {
  const service = (...externalIPs: string[]): Service => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "s", namespace: "blue" },
    spec: { externalIPs },
  });
  const plugin = new DenyServiceExternalIPs();
  const refused = 'services "s" is forbidden: Use of external IPs is denied by admission control';
  await expect(admit(plugin, writeOf(services, service("1.2.3.4")))).rejects.toThrow(refused);
  const update = { operation: "UPDATE", oldObject: service("1.2.3.4") } as const;
  await admit(plugin, writeOf(services, service("1.2.3.4"), update));
  await expect(admit(plugin, writeOf(services, service("1.2.3.5"), update))).rejects.toThrow(refused);
});

test("ExtendedResourceToleration adds the taint of the devices asked for", async () => {
  const containers = [
    {
      name: "c",
      resources: { requests: { "b.example/x": "1", "a.example/y": "1", cpu: "1", "x.kubernetes.io/z": "1" } },
    },
  ];
  const { tolerations } = await admitted(new ExtendedResourceToleration(), podWith({ containers }));
  expect(tolerations).toEqual(
    ["a.example/y", "b.example/x"].map((key) => ({ key, operator: "Exists", effect: "NoSchedule" })),
  );
});

describe("PodTolerationRestriction", () => {
  const zone: Toleration = { key: "zone", operator: "Equal", value: "a", effect: "NoSchedule" };

  test("adds the namespace's tolerations, or the cluster's", async () => {
    const own = readerWith({ "scheduler.alpha.kubernetes.io/defaultTolerations": JSON.stringify([zone]) });
    expect((await admitted(new PodTolerationRestriction(own, noTolerationRules), podWith())).tolerations).toEqual([
      zone,
    ]);
    const rules = { default: [zone], whitelist: [] };
    const plugin = new PodTolerationRestriction(readerWith({}), rules);
    expect((await admitted(plugin, podWith())).tolerations).toEqual([zone]);
  });

  test("refuses what the namespace, or the cluster, does not allow", async () => {
    const other = podWith({ tolerations: [{ ...zone, value: "b" }] });
    const own = readerWith({ "scheduler.alpha.kubernetes.io/tolerationsWhitelist": JSON.stringify([zone]) });
    await expect(admitted(new PodTolerationRestriction(own, noTolerationRules), other)).rejects.toThrow(
      "conflict with its namespace whitelist",
    );
    const plugin = new PodTolerationRestriction(readerWith({}), { default: [], whitelist: [zone] });
    await expect(admitted(plugin, other)).rejects.toThrow("conflict with its cluster whitelist");
    await admitted(plugin, podWith({ tolerations: [zone] }));
  });
});

test("PodNodeSelector adds the namespace's selector, and holds pods to it", async () => {
  const reader = readerWith({ "scheduler.alpha.kubernetes.io/node-selector": "zone=a" });
  const plugin = new PodNodeSelector(reader, { blue: "zone=a,disk=ssd" });
  expect((await admitted(plugin, podWith())).nodeSelector).toEqual({ zone: "a" });
  await expect(admitted(plugin, podWith({ nodeSelector: { zone: "b" } }))).rejects.toThrow(
    'pods "web" is forbidden: pod node label selector conflicts with its namespace node label selector',
  );
  await expect(admitted(plugin, podWith({ nodeSelector: { disk: "hdd" } }))).rejects.toThrow(
    "pod node label selector labels conflict with its namespace whitelist",
  );
  const cluster = new PodNodeSelector(readerWith({}), { clusterDefaultNodeSelector: "zone=c" });
  expect((await admitted(cluster, podWith())).nodeSelector).toEqual({ zone: "c" });
});

test("EventRateLimit refuses what comes too fast, by namespace and over all", async () => {
  let now_ms = 0;
  const event = (namespace: string): Event => ({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "e", namespace },
    involvedObject: {},
  });
  const limit = { qps: 1, burst: 1, cacheSize: 0 };
  const plugin = new EventRateLimit([{ ...limit, type: "Namespace" }], () => now_ms);
  const write = (namespace: string) => admit(plugin, writeOf(events, event(namespace)));
  await write("blue");
  await write("red");
  await expect(write("blue")).rejects.toMatchObject({
    reason: "TooManyRequests",
    message: "limit reached on type Namespace for key blue",
  });
  await admit(plugin, writeOf(events, event("blue"), { dryRun: true }));
  now_ms = 1000;
  await write("blue");
});

test("OwnerReferencesPermissionEnforcement asks for the right to delete, and to set finalizers", async () => {
  const allowed = new Set<string>();
  const authorizer: Authorizer = {
    authorize: ({ verb, resource, subresource }) => ({
      outcome: allowed.has([verb, resource, subresource].filter(Boolean).join(" ")) ? "allow" : "no-opinion",
      reason: "",
    }),
  };
  const served = builtinDeclarations.map((declaration) => ({ declaration, version: declaration.ref.version }));
  const plugin = new OwnerReferencesPermissionEnforcement(authorizer, () => ({ all: () => served as never }));
  const owner = (blockOwnerDeletion: boolean): OwnerReference => ({
    ...{ apiVersion: "apps/v1", kind: "Deployment", name: "d", uid: "1" },
    blockOwnerDeletion,
  });
  const owned = (...ownerReferences: OwnerReference[]): Pod => {
    const pod = podWith();
    return { ...pod, metadata: { ...pod.metadata, ownerReferences } };
  };
  const change = (pod: Pod, old?: Pod) =>
    admit(plugin, writeOf(pods, pod, old ? { operation: "UPDATE", oldObject: old } : {}));
  await change(owned(owner(false)));
  await expect(change(owned(owner(false)), owned())).rejects.toThrow(
    "cannot set an ownerRef on a resource you can't delete",
  );
  await expect(change(owned(owner(true)))).rejects.toThrow(
    "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on",
  );
  allowed.add(`update ${deployments.plural} finalizers`).add("delete pods");
  await change(owned(owner(true)), owned());
});
