/**
 * Lists as long as a body may be, of each of which others are looked up: nothing must look along one for each item of another, which
 * takes minutes. Nothing here looks at the clock: a test that does not end has failed.
 */
import { expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { firstOverlap } from "../../master/apiserver/resources/batch/indexes.ts";
import { validatePodStatus } from "../../master/apiserver/resources/core/pod/status.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";

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
