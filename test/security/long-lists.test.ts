/**
 * Lists as long as a body may be, of each of which others are looked up: nothing must look along one for each item of another, which
 * takes minutes. Nothing here looks at the clock: a test that does not end has failed.
 */
import { expect, test } from "bun:test";
import { updateManagedFields } from "#shared/api/managed-fields/update.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { parseLabelSelector } from "#shared/api/selector/label-selector.ts";
import type { ValidatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import type { Ingress } from "#shared/api/types/networking-v1.generated.ts";
import type { NamedSubject } from "#shared/pki/certificate-facts.ts";
import { RoutingTable } from "../../agent/ingress/routes.ts";
import { ServicePortCache } from "../../agent/proxy/service-ports.ts";
import { policyProblems } from "../../master/apiserver/admission/policies/expression-problems.ts";
import { missingRules, TooManyGrants } from "../../master/apiserver/authz/rbac-rules.ts";
import { firstOverlap } from "../../master/apiserver/resources/batch/indexes.ts";
import { validatePodStatus } from "../../master/apiserver/resources/core/pod/status.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { mayServe } from "../../master/controllers/certificates/serving-names.ts";

const MANY = 200_000;
const many = <T>(item: (index: number) => T): T[] => Array.from({ length: MANY }, (_, index) => item(index));
const names = many((index) => ({ name: `a${index}` }));

type Loose = Record<string, unknown>;

function strategyOf(kind: string) {
  const strategy = builtinDeclarations.find(({ ref }) => ref.kind === kind)?.strategy;
  if (!strategy) throw new Error(`${kind} is not declared`);
  return strategy as unknown as {
    validate?: (object: Loose) => unknown[];
    validateUpdate?: (object: Loose, old: Loose) => unknown[];
  };
}

const container = (more: Loose = {}): Loose => ({ name: "c", image: "i", ...more });
const podOf = (spec: Loose, status: Loose = {}): Loose => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "n" },
  spec: { containers: [container()], restartPolicy: "Always", dnsPolicy: "ClusterFirst", ...spec },
  status,
});
const faultsOf = (spec: Loose): unknown[] => strategyOf("Pod").validate?.(podOf(spec)) ?? [];

test("a pod's claims, and what its containers claim", () => {
  const claims = many((index) => ({ name: `b${index}`, request: "r" }));
  expect(faultsOf({ resourceClaims: names, containers: [container({ resources: { claims } })] })).not.toEqual([]);
  expect(faultsOf({ containers: [container({ resources: { claims: names } })] })).not.toEqual([]);
});

test("volumes that are mounted and devices", () => {
  const volumeMounts = many((index) => ({ name: `m${index}`, mountPath: `/m${index}` }));
  const volumeDevices = many((index) => ({ name: `d${index}`, devicePath: `/d${index}` }));
  expect(faultsOf({ containers: [container({ volumeMounts, volumeDevices })] })).not.toEqual([]);
});

test("how a pod is spread, and what it tolerates", () => {
  const spread = many((index) => ({ topologyKey: `t${index}`, maxSkew: 1, whenUnsatisfiable: "DoNotSchedule" }));
  // What defaults fill in is missing, and nothing else is wrong.
  const missing = faultsOf({});
  expect(faultsOf({ topologySpreadConstraints: spread })).toEqual(missing);
  const matchLabelKeys = many((index) => `a${index}`);
  const labelSelector = { matchExpressions: many((index) => ({ key: `b${index}`, operator: "Exists" })) };
  const one = { topologyKey: "t", maxSkew: 1, whenUnsatisfiable: "DoNotSchedule", matchLabelKeys, labelSelector };
  expect(faultsOf({ topologySpreadConstraints: [one] })).toEqual(missing);
  const tolerations = many((index) => ({ key: `a${index}`, operator: "Exists" }));
  const after = podOf({ tolerations: tolerations.map((each) => ({ ...each, effect: "NoSchedule" })) });
  expect(strategyOf("Pod").validateUpdate?.(after, podOf({ tolerations }))).not.toEqual([]);
});

test("what a pod waits for", () => {
  const before = podOf({ schedulingGates: names.map(({ name }) => ({ name: `b${name}` })) });
  expect(strategyOf("Pod").validateUpdate?.(podOf({ schedulingGates: names }), before)).not.toEqual([]);
});

test("the status of a pod", () => {
  const status = {
    containerStatuses: names.map(({ name }) => ({ name, state: { running: {} } })),
    resourceClaimStatuses: names,
  };
  const old = {
    containerStatuses: names.map(({ name }) => ({ name: `b${name}`, state: { terminated: { exitCode: 0 } } })),
  };
  const pod = podOf({ resourceClaims: names.map(({ name }) => ({ name: `b${name}` })) }, status);
  expect(validatePodStatus(pod as unknown as Pod, podOf({}, old) as unknown as Pod)).not.toEqual([]);
});

test("a node's addresses, and drivers on it", () => {
  const addresses = many((index) => ({ type: "InternalIP", address: `a${index}` }));
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n" }, spec: {}, status: { addresses } };
  expect(strategyOf("Node").validateUpdate?.(node, node)).toEqual([]);
  const drivers = names.map(({ name }) => ({ name, nodeID: "n" }));
  const csiNode = { apiVersion: "storage.k8s.io/v1", kind: "CSINode", metadata: { name: "n" }, spec: { drivers } };
  const others = { ...csiNode, spec: { drivers: drivers.map((each) => ({ ...each, name: `b${each.name}` })) } };
  expect(strategyOf("CSINode").validateUpdate?.(csiNode, others)).toEqual([]);
});

test("exit codes, and indexes that succeeded and failed", () => {
  const onExitCodes = { operator: "NotIn", values: many((index) => index) };
  const template = { metadata: { labels: { a: "b" } }, spec: { containers: [container()], restartPolicy: "Never" } };
  const podFailurePolicy = { rules: [{ action: "Ignore", onExitCodes }] };
  const job = { metadata: { name: "j", namespace: "n" }, spec: { selector: {}, template, podFailurePolicy } };
  expect(strategyOf("Job").validate?.(job)).not.toEqual([]);
  const even = many((index) => 4 * index).join(",");
  const odd = many((index) => 4 * index + 2).join(",");
  expect(firstOverlap(even, odd, 10 * MANY)).toBeUndefined();
  expect(firstOverlap("1-3,7,9-12", "4-5,8,10", 20)).toBe(10);
  expect(firstOverlap("1-3,7", "2,7", 20)).toBe(2);
});

test("fields of many managers, which become few", () => {
  const managers = 150;
  const fields = 2_000;
  const managedFields = Array.from({ length: managers }, (_, manager) => ({
    manager: `m${manager}`,
    operation: "Update" as const,
    apiVersion: "v1",
    time: `2024-01-01T00:00:${String(Math.floor(manager / 3)).padStart(2, "0")}Z`,
    fieldsType: "FieldsV1",
    fieldsV1: { "f:data": Object.fromEntries(Array.from({ length: fields }, (__, at) => [`f:${manager}-${at}`, {}])) },
  }));
  const configMap = (data: Loose) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a", namespace: "b", uid: "u", managedFields },
    data,
  });
  const entries = updateManagedFields({
    schema: schemaFor({ group: "", version: "v1", kind: "ConfigMap" }),
    apiVersion: "v1",
    live: configMap({ a: "b" }),
    next: configMap({ a: "c" }),
    manager: "writer",
    now: "2024-01-02T00:00:00Z",
  });
  expect(entries?.length).toBe(10);
  const old = entries?.find(({ manager }) => manager === "ancient-changes");
  const gathered = (old?.fieldsV1 as { "f:data": Loose } | undefined)?.["f:data"] ?? {};
  expect(Object.keys(gathered).length).toBe((managers - 8) * fields);
  expect(old?.time).toBe("2024-01-01T00:00:47Z");
});

test("variables of a policy, each of the one before", () => {
  const variables = many((index) => ({ name: `v${index}`, expression: index ? `variables.v${index - 1}` : "1" }));
  const validations = [{ expression: "variables.v3 == 1" }, { expression: "variables.w == 1" }];
  const policy = { metadata: { name: "a" }, spec: { variables: variables.slice(0, 20_000), validations } };
  const problems = policyProblems(policy as unknown as ValidatingAdmissionPolicy);
  expect(problems.map(({ path }) => path)).toEqual([["validations", 1, "expression"]]);
});

test("values of a selector", () => {
  const values = many((index) => `v${index}`);
  const selector = parseLabelSelector(`a in (${values.join(",")})`);
  const labelled = values.slice(-50_000).map((a) => ({ a }));
  expect(labelled.every((labels) => selector.matches(labels))).toBe(true);
  expect(selector.matches({ a: "w" })).toBe(false);
});

test("a topology without values is told of", () => {
  const allowedTopologies = [{ matchLabelExpressions: [{ key: "a" }] }];
  const storageClass = { metadata: { name: "a" }, provisioner: "a.b/c", reclaimPolicy: "Delete", allowedTopologies };
  const faults = strategyOf("StorageClass").validate?.(storageClass) as { field: string }[];
  expect(faults.map(({ field }) => field)).toContain("allowedTopologies[0].matchLabelExpressions[0].values");
});

test("rules that stand for more grants than a memory holds, and very many rules", () => {
  const words = (letter: string): string[] => Array.from({ length: 1_000 }, (_, index) => `${letter}${index}`);
  const broad = { verbs: words("v"), apiGroups: words("g"), resources: words("r"), resourceNames: words("n") };
  const all = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
  expect(() => missingRules([], [broad])).toThrow(TooManyGrants);
  expect(() => missingRules([{ ...broad, resourceNames: ["n0"] }], [broad])).toThrow(TooManyGrants);
  expect(missingRules([all], [broad])).toEqual([]);
  const pods = many((index) => ({
    verbs: ["get"],
    apiGroups: [""],
    resources: ["pods"],
    resourceNames: [`p${index}`],
  }));
  expect(() => missingRules(pods, pods.toReversed())).toThrow(TooManyGrants);
  expect(missingRules([...pods.slice(0, 100), all], pods.slice(0, 1_000))).toEqual([]);
});

test("ports and addresses of a Service", async () => {
  const count = 30_000;
  const ports = Array.from({ length: count }, (_, index) => ({ name: `p${index}`, port: index + 1, protocol: "TCP" }));
  const externalIPs = Array.from({ length: count }, (_, index) => `203.${index >> 8}.${index & 255}.1`);
  const service = (more: Loose): Service =>
    ({ metadata: { namespace: "n", name: "s" }, spec: { clusterIP: "10.43.0.9", ...more } }) as unknown as Service;
  const told: string[] = [];
  const servedOf = async (more: Loose): Promise<number> => {
    const cache = new ServicePortCache((_, leftOut) => told.push(leftOut));
    return (await cache.servicePorts([service(more)], () => [], { name: "b", zone: undefined }, "IPv4")).length;
  };
  expect(await servedOf({ ports, externalIPs })).toBe(6);
  expect(told).toEqual(["all but the first 6 of its ports"]);
  expect(await servedOf({ ports: ports.slice(0, 3), externalIPs })).toBe(3);
  expect(await servedOf({ ports })).toBe(count);
  expect(told).toHaveLength(1);
});

test("paths of an Ingress", () => {
  const backend = { service: { name: "s", port: { number: 80 } } };
  const paths = many((index) => ({ path: `/${index}`, pathType: "Prefix" as const, backend }));
  const spec = { rules: [{ host: "a", http: { paths: [...paths, ...paths] } }] };
  const ingress: Ingress = { apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { name: "i" }, spec };
  const table = new RoutingTable([ingress, { ...ingress, metadata: { name: "j" } }]);
  expect(table.match("a", "/7/x")?.service).toBe("s");
  expect(table.match("a", "/x")).toBeUndefined();
});

test("the addresses that a board asks a certificate for", () => {
  const addresses = many((index) => ({ type: "InternalIP", address: `a${index}` }));
  const own = { apiVersion: "v1", kind: "Node", metadata: { name: "n" }, spec: {}, status: { addresses } } as const;
  const request = { spec: { username: "system:node:n", groups: ["system:nodes"] } } as CertificateSigningRequest;
  const last = "10.0.0.1";
  const asked = { commonName: "system:node:n", dnsNames: [], ipAddresses: [...many(() => last), "10.0.0.2"] };
  const nodes = [{ ...own, status: { addresses: [...addresses, { type: "InternalIP", address: last }] } }];
  const neighbours = { nodes, apiService: undefined, apiEndpoints: undefined, apiNames: [] };
  expect(mayServe(request, asked as unknown as NamedSubject, neighbours)).toBe(false);
});
