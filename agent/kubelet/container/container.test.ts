import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host } from "#agent/host/host.ts";
import type { ContainerStatus } from "#agent/runtime/runtime.ts";
import type {
  Container,
  Pod,
  PodSpec,
  ResourceRequirements,
  Service,
  VolumeMount,
} from "#shared/api/types/core-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import type { MountedVolume } from "../volumes/mounted-volume.ts";
import { targetContainerId } from "./container-config.ts";
import { ContainerStartError } from "./container-error.ts";
import { containerMounts } from "./container-mounts.ts";
import {
  containerResources,
  cpuQuotaOf,
  cpuSharesOf,
  oomScoreAdjust,
  type ResourceRules,
} from "./container-resources.ts";
import { containerSecurity } from "./container-security.ts";
import { containerEnvironment } from "./environment.ts";
import { expand } from "./expansion.ts";
import { formatMap, resourceFieldValue } from "./field-ref.ts";
import { missingClusterDns, parseResolvConf, podDns } from "./pod-dns.ts";
import { podHostname, renderHostsFile } from "./pod-hostname.ts";
import { serviceEnvironment } from "./service-environment.ts";

function pod(spec: Partial<PodSpec> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "n", uid: "u" },
    spec: { containers: [{ name: "c" }], ...spec },
  };
}

test("an ephemeral container joins the newest of its target, one that has ended too, as upstream does", () => {
  const status = (name: string, id: string, state: ContainerStatus["state"]) =>
    ({ name, id, state }) as ContainerStatus;
  const containers = [
    status("main", "second", "exited"),
    status("main", "first", "exited"),
    status("side", "s", "running"),
  ];
  const of = (targetContainerName?: string) =>
    targetContainerId({ name: "debug", targetContainerName }, { containers });
  expect(of("main")).toBe("second");
  expect(of("side")).toBe("s");
  expect([of(), of("")]).toEqual([undefined, undefined]);
  expect(() => of("absent")).toThrow(
    new ContainerStartError("CreateContainerConfigError", "unable to find target container absent"),
  );
});

test("references are expanded as upstream does", () => {
  const values: Record<string, string> = { A: "a", B: "b" };
  const of = (text: string): string => expand(text, (name) => values[name]);
  expect(of("$(A)-$(B)")).toBe("a-b");
  expect(of("$$(A) $(C) $(A $ $A")).toBe("$(A) $(C) $(A $ $A");
  expect(of("$$$(A)")).toBe("$a");
});

test("Services become variables; the API server's in every namespace", () => {
  const service = (name: string, namespace: string, clusterIP: string): Service => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { clusterIP, ports: [{ name: "web-ui", port: 80, protocol: "TCP" }] },
  });
  const all = [
    service("kubernetes", "default", "10.43.0.1"),
    service("my-app", "n", "10.43.0.2"),
    service("other", "m", "10.43.0.3"),
    service("headless", "n", "None"),
  ];
  const with_links = serviceEnvironment(all, "n", true);
  expect(with_links.get("MY_APP_SERVICE_PORT_WEB_UI")).toBe("80");
  expect(with_links.get("MY_APP_PORT_80_TCP")).toBe("tcp://10.43.0.2:80");
  expect(with_links.get("KUBERNETES_SERVICE_HOST")).toBe("10.43.0.1");
  expect([...with_links.keys()].some((name) => /OTHER|HEADLESS/.test(name))).toBe(false);
  expect([...serviceEnvironment(all, "n", false).keys()].some((name) => name.startsWith("MY_APP"))).toBe(false);
});

test("a mount that cannot be had is told without what the board knows of it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mounts-"));
  const mounts = (mount: Partial<VolumeMount>) =>
    containerMounts({
      pod: pod(),
      container: { name: "c", volumeMounts: [{ name: "v", mountPath: "/v", ...mount }] },
      attempt: 0,
      volumes: new Map([["v", { path: "/volume", readOnly: false } as MountedVolume]]),
      environment: [],
      podIPs: [],
      clusterDomain: "cluster.local",
      host: {
        unmountTree: () => undefined,
        bindSubPath: () => {
          throw new Error("ENOTDIR: /volume/secret-place");
        },
      } as unknown as Host,
      podFolder: folder,
      log: silentLog,
      recursiveReadOnly: false,
    });
  try {
    await expect(mounts({ subPath: "a" })).rejects.toThrow(
      /^failed to prepare subPath for volumeMount "v" of container "c"$/,
    );
    await expect(mounts({ readOnly: true, recursiveReadOnly: "Enabled" })).rejects.toThrow(
      'failed to resolve recursive read-only mode: volume "v" requested recursive read-only mode, but it is not supported by the runtime',
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a missing key is told, an optional one left out", async () => {
  const container = (optional: boolean): Container => ({
    name: "c",
    env: [{ name: "X", valueFrom: { configMapKeyRef: { name: "m", key: "k", optional } } }],
  });
  const sources = {
    facts: { pod: pod(), podIPs: [], hostIPs: [], allocatable: {} },
    services: [],
    envFile: async () => ({ value: undefined, file: "" }),
    objects: {
      configMap: async () => ({ apiVersion: "v1" as const, kind: "ConfigMap" as const, metadata: {} }),
      secret: async () => ({ apiVersion: "v1" as const, kind: "Secret" as const, metadata: {} }),
    },
  };
  expect(await containerEnvironment(container(true), sources)).toEqual([]);
  const failure = await containerEnvironment(container(false), sources).catch((error) => error);
  expect(failure).toBeInstanceOf(ContainerStartError);
  expect(failure.message).toBe("couldn't find key k in ConfigMap n/m");
});

test("a key that its file lacks is told with where the file is", async () => {
  const fileKeyRef = { volumeName: "v", path: "e.env", key: "K" };
  const none = async (): Promise<never> => Promise.reject(new Error("not asked"));
  const failure = await containerEnvironment(
    { name: "c", env: [{ name: "X", valueFrom: { fileKeyRef } }] },
    {
      facts: { pod: pod(), podIPs: [], hostIPs: [], allocatable: {} },
      services: [],
      envFile: async () => ({ value: undefined, file: "/pods/u/v/e.env" }),
      objects: { configMap: none, secret: none },
    },
  ).catch((error) => error);
  expect(failure.message).toBe('environment variable key "K" not found in file "/pods/u/v/e.env"');
});

test("maps are formatted as Go quotes them", () => {
  expect(formatMap({ b: 'say "hi"\n', a: "1" })).toBe('a="1"\nb="say \\"hi\\"\\n"');
});

test("resource fields are rounded up in the divisor's unit, and fall back to what the board has", () => {
  const container: Container = { name: "c", resources: { limits: { cpu: "1250m" }, requests: { memory: "33Mi" } } };
  const facts = {
    pod: pod(),
    podIPs: [],
    hostIPs: [],
    allocatable: { memory: "4Gi", cpu: "4", "hugepages-2Mi": "8Mi" },
  };
  const value = (resource: string, divisor?: string): string =>
    resourceFieldValue({ resource, ...(divisor ? { divisor } : {}) }, container, facts);
  expect(value("limits.cpu")).toBe("2");
  expect(value("limits.cpu", "1m")).toBe("1250");
  expect(value("requests.memory", "32Mi")).toBe("2");
  expect(value("limits.memory", "1Gi")).toBe("4");
  // Huge pages are never overcommitted: who has no limit may have none.
  expect(value("limits.hugepages-2Mi")).toBe("0");
  expect(() => value("limits.gpu")).toThrow("unsupported container resource : limits.gpu");
});

test("a container without a limit of its own has its pod's, where the pod has one", () => {
  const resources = { limits: { memory: "64Mi" } };
  const facts = {
    pod: pod({ resources }),
    podIPs: [],
    hostIPs: [],
    allocatable: { memory: "4Gi", cpu: "4", "ephemeral-storage": "9Gi" },
  };
  const value = (resource: string, own: Container["resources"] = {}): string =>
    resourceFieldValue({ resource }, { name: "c", resources: own }, facts);
  expect(value("limits.memory")).toBe("67108864");
  expect(value("limits.memory", { limits: { memory: "1Mi" } })).toBe("1048576");
  expect(value("limits.cpu")).toBe("4");
});

describe("resolver settings", () => {
  const host = parseResolvConf("nameserver 192.0.2.53\nsearch lan. home\noptions timeout:1 rotate\n");
  const cluster = { servers: ["10.43.0.10"], domain: "cluster.local" };
  const settings = (spec: Partial<PodSpec>) => podDns(pod(spec), host, cluster).dns;

  test("by policy", () => {
    expect(settings({ dnsPolicy: "ClusterFirst" })).toEqual({
      searches: ["n.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan", "home"],
      servers: ["10.43.0.10"],
      options: ["ndots:5"],
    });
    const ofHost = { searches: ["lan", "home"], servers: ["192.0.2.53"], options: ["timeout:1", "rotate"] };
    expect(settings({ dnsPolicy: "Default" })).toEqual(ofHost);
    expect(settings({ dnsPolicy: "ClusterFirst", hostNetwork: true })).toEqual(ofHost);
    expect(settings({ dnsPolicy: "ClusterFirstWithHostNet", hostNetwork: true }).servers).toEqual(["10.43.0.10"]);
  });

  test("where the cluster has no DNS, those that ask for it are told of", () => {
    const without = { servers: [], domain: "cluster.local" };
    const told = (spec: Partial<PodSpec>, of = without) => missingClusterDns(pod(spec), of) !== undefined;
    expect(told({})).toBe(true);
    expect(told({ dnsPolicy: "ClusterFirstWithHostNet", hostNetwork: true })).toBe(true);
    expect([told({ hostNetwork: true }), told({ dnsPolicy: "Default" }), told({ dnsPolicy: "None" })]).toEqual([
      false,
      false,
      false,
    ]);
    expect(missingClusterDns(pod(), cluster)).toBeUndefined();
  });

  test("with a configuration of the pod's own, within limits", () => {
    const nameservers = ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"];
    const { dns, omitted } = podDns(
      pod({
        dnsPolicy: "None",
        dnsConfig: { nameservers, options: [{ name: "ndots", value: "2" }, { name: "edns0" }] },
      }),
      host,
      cluster,
    );
    expect(dns).toEqual({
      searches: [],
      servers: ["1.1.1.1", "2.2.2.2", "3.3.3.3"],
      options: ["ndots:2", "edns0"],
    });
    expect(omitted).toEqual([expect.stringContaining("applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3")]);
  });
});

test("host names and the hosts file", () => {
  expect(podHostname(pod({ subdomain: "web" }), "cluster.local")).toEqual({
    hostname: "p",
    domain: "web.n.svc.cluster.local",
    kernelHostname: "p",
  });
  expect(podHostname(pod({ subdomain: "web", setHostnameAsFQDN: true }), "cluster.local").kernelHostname).toBe(
    "p.web.n.svc.cluster.local",
  );
  const file = renderHostsFile({
    podIPs: ["10.42.0.5"],
    hostname: "p",
    domain: "d",
    hostAliases: [{ ip: "1.2.3.4", hostnames: ["a", "b"] }],
  });
  expect(file).toStartWith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n");
  expect(file).toEndWith("10.42.0.5\tp.d\tp\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n");
});

test("cgroup settings follow upstream's arithmetic", () => {
  expect([0, 1, 500, 1_000_000].map(cpuSharesOf)).toEqual([2, 2, 512, 262_144]);
  expect([1, 250].map((limit_m) => cpuQuotaOf(limit_m))).toEqual([1_000, 25_000]);
  const gibi = 1024 ** 3;
  const sized = (memory: string): Container => ({ name: "c", resources: { requests: { memory } } });
  const score = (container: Container): number => oomScoreAdjust(pod({ containers: [container] }), container, 4 * gibi);
  expect(score({ name: "c" })).toBe(1000);
  expect(score(sized("1Gi"))).toBe(750);
  expect(score(sized("4Gi"))).toBe(3);
  expect(score(sized("1"))).toBe(999);
  const shared = pod({ containers: [{ name: "c" }, { name: "d" }], resources: { requests: { memory: "2Gi" } } });
  expect(oomScoreAdjust(shared, { name: "c" }, 4 * gibi)).toBe(750);
  expect(oomScoreAdjust(pod({ priority: 2_000_001_000 }), { name: "c" }, gibi)).toBe(-997);
});

test.each([
  [undefined, undefined],
  [{ type: "RuntimeDefault" }, undefined],
  [{ type: "Unconfined" }, "unconfined"],
  [{ type: "Localhost", localhostProfile: "mine" }, "localhost/mine"],
  [{ type: "Localhost", localhostProfile: "unconfined" }, "localhost/unconfined"],
  [{ type: "Localhost", localhostProfile: "localhost/unconfined" }, "localhost/localhost/unconfined"],
])("the AppArmor profile %p is %p", (appArmorProfile, asked) => {
  const container = { name: "c", securityContext: { appArmorProfile } };
  expect(containerSecurity(pod({}), container, undefined, { root: "/s", isDefault: false }).apparmor).toBe(asked);
});

test("root is refused where the spec forbids it", () => {
  const image = (user?: { uid: number } | { username: string }) => ({
    id: "i",
    tags: [],
    digests: [],
    size_bytes: 1,
    platform: "linux/arm64",
    pinned: false,
    volumes: [],
    ...(user ? { user } : {}),
  });
  const strict = pod({ securityContext: { runAsNonRoot: true } });
  const check = (user?: { uid: number } | { username: string }, runAsUser?: number) =>
    containerSecurity(
      strict,
      { name: "c", ...(runAsUser === undefined ? {} : { securityContext: { runAsUser } }) },
      image(user),
      { root: "/s", isDefault: false },
    );
  expect(() => check()).toThrow("image will run as root");
  expect(() => check({ username: "app" })).toThrow("non-numeric user (app)");
  expect(() => check(undefined, 0)).toThrow("container's runAsUser breaks non-root policy");
  expect(check({ uid: 5 }).runAsUser).toBeUndefined();
  expect(check(undefined, 7).runAsUser).toBe(7);
});

test("a container that names no seccomp profile runs by the board's default", () => {
  const seccompOf = (isDefault: boolean, type?: string) =>
    containerSecurity(
      pod({}),
      { name: "c", ...(type ? { securityContext: { seccompProfile: { type } } } : {}) },
      undefined,
      { root: "/s", isDefault },
    ).seccomp;
  expect([seccompOf(false), seccompOf(true), seccompOf(true, "Unconfined")]).toEqual([
    "unconfined",
    "runtime/default",
    "unconfined",
  ]);
});

describe("what a container is held to", () => {
  const gibi = 1024 ** 3;
  const rules: ResourceRules = {
    memoryCapacity_bytes: 4 * gibi,
    swapCapacity_bytes: 2 * gibi,
    cpuQuota: { isEnforced: true, period_us: 100_000 },
    memoryEnd: { isUnified: true, swap: "LimitedSwap", endsWhole: true },
  };
  const held = (resources: ResourceRequirements, given: Partial<ResourceRules> = {}) => {
    const container = { name: "c", resources };
    return containerResources(pod({ containers: [container] }), container, { ...rules, ...given });
  };

  test("by CPU limits in the period that is set, or not at all", () => {
    const limits = { cpu: "500m" };
    expect(held({ limits })).toMatchObject({ cpuQuota_us: 50_000, cpuPeriod_us: 100_000 });
    expect(held({ limits }, { cpuQuota: { isEnforced: true, period_us: 10_000 } })).toMatchObject({
      cpuQuota_us: 5_000,
      cpuPeriod_us: 10_000,
    });
    expect(held({ limits }, { cpuQuota: { isEnforced: false, period_us: 100_000 } }).cpuQuota_us).toBeUndefined();
  });

  test("burstable ones swap as much as they request of the memory, others not at all", () => {
    const swap = (resources: ResourceRequirements, given?: Partial<ResourceRules>) =>
      held(resources, given).unified?.["memory.swap.max"];
    const burstable = { requests: { memory: "1Gi" }, limits: { memory: "2Gi" } };
    expect(swap(burstable)).toBe(String(gibi / 2));
    expect(swap({ requests: { memory: "1Gi", cpu: "1" }, limits: { memory: "1Gi" } })).toBe("0");
    expect(swap({})).toBe("0");
    expect(swap(burstable, { memoryEnd: { ...rules.memoryEnd, swap: "NoSwap" } })).toBe("0");
    expect(swap(burstable, { swapCapacity_bytes: 0 })).toBeUndefined();
  });

  test("all of it ends when memory runs out, where the kernel can be told", () => {
    expect(held({}).unified?.["memory.oom.group"]).toBe("1");
    expect(held({}, { memoryEnd: { ...rules.memoryEnd, endsWhole: false } }).unified).toEqual({
      "memory.swap.max": "0",
    });
    expect(held({}, { memoryEnd: { ...rules.memoryEnd, isUnified: false } }).unified).toBeUndefined();
  });
});
