import { describe, expect, test } from "bun:test";
import { persistentVolumeClaims, pods, services } from "#shared/api/resources.ts";
import type { Pod, PodSpec, ResourceQuota, ResourceQuotaSpec } from "#shared/api/types/core-v1.generated.ts";
import { listOf } from "./amounts.ts";
import { checkQuotas } from "./check.ts";
import { evaluatorFor, type QuotaWrite } from "./evaluators.ts";
import type { LimitedResource } from "./limited-resources.ts";
import { usedBy } from "./usage.ts";

const now_ms = 1_800_000_000_000;
const pod = (spec: Partial<PodSpec> = {}, more: Partial<Pod> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "blue" },
  spec: { containers: [{ name: "c" }], ...spec },
  ...more,
});
const withRequests = (requests: Record<string, string>): Partial<PodSpec> => ({
  containers: [{ name: "c", resources: { requests } }],
});
const quota = (
  hard: Record<string, string>,
  used: Record<string, string>,
  spec: ResourceQuotaSpec = {},
): ResourceQuota => ({
  apiVersion: "v1",
  kind: "ResourceQuota",
  metadata: { name: "q", namespace: "blue" },
  spec: { hard, ...spec },
  status: { hard, used },
});

function check(
  quotas: ResourceQuota[],
  object: Pod,
  more: Partial<QuotaWrite> = {},
  limits: readonly LimitedResource[] = [],
) {
  const evaluator = evaluatorFor(pods);
  if (!evaluator) throw new Error("pods are counted");
  const verdict = checkQuotas(
    quotas,
    { resource: pods, evaluator, limits },
    { operation: "CREATE", object, ...more },
    now_ms,
  );
  return verdict.kind !== "allowed" ? verdict.why : verdict.grown.map(({ status }) => status?.used);
}

describe("checkQuotas", () => {
  test("charges what a pod takes", () => {
    const limited = quota(
      { pods: "2", "requests.cpu": "1", "requests.memory": "1Gi" },
      { pods: "1", "requests.cpu": "500m", "requests.memory": "100Mi" },
    );
    expect(check([limited], pod(withRequests({ cpu: "250m", memory: "24Mi" })))).toEqual([
      { pods: "2", "requests.cpu": "750m", "requests.memory": "124Mi" },
    ]);
  });

  test("refuses what is too much, in upstream's words", () => {
    const limited = quota({ pods: "5", "requests.cpu": "1" }, { pods: "1", "requests.cpu": "800m" });
    expect(check([limited], pod(withRequests({ cpu: "500m" })))).toBe(
      "exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=800m, limited: requests.cpu=1",
    );
  });

  test("asks every container to say what it wants where that is limited", () => {
    const limited = quota({ "limits.cpu": "1", memory: "1Gi" }, { "limits.cpu": "0", memory: "0" });
    expect(check([limited], pod())).toBe("failed quota: q: must specify limits.cpu for: c; memory for: c");
  });

  test("refuses as long as nothing is known of the use", () => {
    expect(check([quota({ pods: "1" }, {})], pod())).toBe("status unknown for quota: q, resources: pods");
  });

  test("looks at scopes", () => {
    const bestEffort = quota({ pods: "0" }, { pods: "0" }, { scopes: ["BestEffort"] });
    expect(check([bestEffort], pod(withRequests({ cpu: "1" })))).toEqual([]);
    expect(check([bestEffort], pod())).toContain("exceeded quota");
    const important = quota(
      { pods: "0" },
      { pods: "0" },
      { scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator: "In", values: ["high"] }] } },
    );
    expect(check([important], pod({ priorityClassName: "low" }))).toEqual([]);
    expect(check([important], pod({ priorityClassName: "high" }))).toContain("exceeded quota");
  });

  test("counts extended resources and objects by name", () => {
    const limited = quota(
      { "requests.example.com/gpu": "1", "count/pods": "9" },
      { "requests.example.com/gpu": "0", "count/pods": "0" },
    );
    expect(check([limited], pod(withRequests({ "example.com/gpu": "2" })))).toContain(
      "exceeded quota: q, requested: requests.example.com/gpu=2",
    );
  });

  test("an update costs what it adds", () => {
    const evaluator = evaluatorFor(services);
    const service = (type: string, ports: number) => ({
      apiVersion: "v1" as const,
      kind: "Service" as const,
      metadata: { name: "s", namespace: "blue" },
      spec: { type, ports: Array.from({ length: ports }, (_, index) => ({ port: index + 1 })) },
    });
    const limited = quota({ services: "1", "services.nodeports": "2" }, { services: "1", "services.nodeports": "0" });
    const write = { operation: "UPDATE", object: service("NodePort", 2), oldObject: service("ClusterIP", 2) };
    expect(evaluator && checkQuotas([limited], { resource: services, evaluator }, write, now_ms)).toMatchObject({
      kind: "allowed",
      grown: [{ status: { used: { services: "1", "services.nodeports": "2" } } }],
    });
  });
});

describe("usedBy", () => {
  test("counts all that is there, without pods that have ended", () => {
    const limited = quota(
      {
        pods: "9",
        "count/pods": "9",
        "requests.cpu": "9",
        "fast.storageclass.storage.k8s.io/requests.storage": "1Ti",
        "count/widgets.example.com": "3",
      },
      {},
    );
    const claim = {
      apiVersion: "v1" as const,
      kind: "PersistentVolumeClaim" as const,
      metadata: { name: "d", namespace: "blue" },
      spec: { storageClassName: "fast", resources: { requests: { storage: "10Gi" } } },
    };
    const objects: Record<string, object[]> = {
      pods: [pod(withRequests({ cpu: "100m" })), pod(withRequests({ cpu: "1" }), { status: { phase: "Succeeded" } })],
      persistentvolumeclaims: [claim],
      widgets: [{}, {}],
    };
    const used = usedBy(limited, ({ plural }) => (objects[plural] ?? []) as Pod[], now_ms);
    expect(listOf(used)).toEqual({
      pods: "1",
      "count/pods": "2",
      "requests.cpu": "100m",
      "fast.storageclass.storage.k8s.io/requests.storage": "10Gi",
      "count/widgets.example.com": "2",
    });
    const unserved = usedBy(limited, ({ plural }) => (plural === "widgets" ? undefined : []), now_ms);
    expect(listOf(unserved)).not.toHaveProperty(["count/widgets.example.com"]);
    const many = ({ plural }: { readonly plural: string }) => (plural === "widgets" ? 7 : []);
    expect(listOf(usedBy(limited, many, now_ms))).toMatchObject({ "count/widgets.example.com": "7" });
    const scoped = { ...limited, spec: { ...limited.spec, scopes: ["BestEffort"] } };
    expect(listOf(usedBy(scoped, many, now_ms))).toMatchObject({ "count/widgets.example.com": "0" });
  });

  test("gives up a pod that is going for longer than its grace", () => {
    const going = pod(withRequests({ cpu: "1" }), {
      metadata: {
        name: "p",
        namespace: "blue",
        deletionTimestamp: new Date(now_ms - 60_000).toISOString(),
        deletionGracePeriodSeconds: 30,
      },
    });
    const used = usedBy(quota({ pods: "1" }, {}), ({ plural }) => (plural === "pods" ? [going] : []), now_ms);
    expect(listOf(used)).toEqual({ pods: "0" });
  });
});

test("claims are counted under their class", () => {
  expect(evaluatorFor(persistentVolumeClaims)?.counts("gold.storageclass.storage.k8s.io/persistentvolumeclaims")).toBe(
    true,
  );
});

test("claims of devices are counted, and the devices of each class that they may be given", () => {
  const claim = (name: string, requests: object[]): object => ({ metadata: { name }, spec: { devices: { requests } } });
  const asking = (deviceClassName: string, count?: number): object => ({
    deviceClassName,
    ...(count === undefined ? { allocationMode: "All" } : { allocationMode: "ExactCount", count }),
  });
  const gold = "gold.deviceclass.resource.k8s.io/devices";
  const silver = "silver.deviceclass.resource.k8s.io/devices";
  const limited = quota({ "count/resourceclaims.resource.k8s.io": "9", [gold]: "99", [silver]: "99" }, {});
  const used = (...claims: object[]): object =>
    listOf(usedBy(limited, ({ plural }) => (plural === "resourceclaims" ? (claims as Pod[]) : []), now_ms));
  expect(used()).toEqual({ "count/resourceclaims.resource.k8s.io": "0", [gold]: "0", [silver]: "0" });
  const either = [asking("gold", 2), asking("gold", 3), asking("silver", 1)];
  expect(
    used(
      claim("a", [
        { name: "r", exactly: asking("gold", 1) },
        { name: "s", exactly: asking("silver") },
      ]),
      claim("b", [{ name: "r", firstAvailable: either }]),
    ),
  ).toEqual({ "count/resourceclaims.resource.k8s.io": "2", [gold]: "4", [silver]: "33" });
});

describe("what may be used only where a quota speaks of it", () => {
  const gpus: LimitedResource = { ...pods, matchContains: ["requests.nvidia.com/gpu"], matchScopes: [] };
  const asking = pod(withRequests({ "nvidia.com/gpu": "1" }));

  test("is refused where none does", () => {
    const why = "insufficient quota to consume: requests.nvidia.com/gpu";
    expect(check([], asking, {}, [gpus])).toBe(why);
    expect(check([quota({ pods: "5" }, { pods: "0" })], asking, {}, [gpus])).toBe(why);
    expect(check([], pod(), {}, [gpus])).toEqual([]);
    expect(check([], asking, {}, [{ ...gpus, plural: "services" }])).toEqual([]);
  });

  test("is taken from the quota that does", () => {
    const name = "requests.nvidia.com/gpu";
    expect(check([quota({ [name]: "2" }, { [name]: "0" })], asking, {}, [gpus])).toEqual([{ [name]: "1" }]);
  });

  test("where it is a scope, a quota of that scope which the object is in has to be there", () => {
    const scope = (value: string) => ({ scopeName: "PriorityClass", operator: "In", values: [value] });
    const important: LimitedResource = { ...pods, matchContains: [], matchScopes: [scope("high")] };
    const high = pod({ priorityClassName: "high" });
    const scoped = (value: string) =>
      quota({ pods: "5" }, { pods: "0" }, { scopeSelector: { matchExpressions: [scope(value)] } });
    expect(check([], high, {}, [important])).toBe(
      "insufficient quota to match these scopes: [{PriorityClass In [high]}]",
    );
    expect(check([scoped("low")], high, {}, [important])).toContain("insufficient quota to match these scopes");
    expect(check([scoped("high")], high, {}, [important])).toEqual([{ pods: "1" }]);
    expect(check([], pod({ priorityClassName: "low" }), {}, [important])).toEqual([]);
  });
});
