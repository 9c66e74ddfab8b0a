import { expect, test } from "bun:test";
import { endpointSlices, nodes, pods, services } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint } from "#shared/api/types/discovery-v1.generated.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import { endpointSliceController } from "./endpoint-slice.ts";
import { cpuShares, zoneHints } from "./zone-hints.ts";

const node = (name: string, zone: string | undefined, cpu = "4", labels: Record<string, string> = {}): Node => {
  const made = testNode(name, {
    allocatable: { cpu },
    labels: { ...(zone ? { "topology.kubernetes.io/zone": zone } : {}), ...labels },
  });
  return { ...made, status: { ...made.status, conditions: [{ type: "Ready", status: "True" }] } };
};
const endpoints = (...zones: string[]): Endpoint[] =>
  zones.map((zone, index) => ({ addresses: [`10.0.0.${index}`], zone, conditions: { ready: true } }));

test("zones count by the CPUs of their ready nodes, masters left out", () => {
  const control = node("m", undefined, "8", { "node-role.kubernetes.io/control-plane": "" });
  const shares = cpuShares([control, node("a1", "a", "6"), node("b1", "b", "2"), testNode("not-ready")]);
  expect([...(shares ?? [])]).toEqual([
    ["a", 0.75],
    ["b", 0.25],
  ]);
  expect(cpuShares([node("a1", "a"), node("b1", undefined)])).toBeUndefined();
  expect(cpuShares([node("a1", "a"), node("a2", "a")])).toBeUndefined();
});

test("endpoints serve their own zone, and help out where there are too few", () => {
  const equal = new Map([
    ["a", 0.5],
    ["b", 0.5],
  ]);
  expect(zoneHints(endpoints("a", "b", "a", "b"), equal)).toEqual({ kind: "on", zones: ["a", "b", "a", "b"] });
  expect(zoneHints(endpoints("a", "a", "a", "b"), equal)).toEqual({ kind: "on", zones: ["b", "a", "a", "b"] });
  const withOneGoing = [...endpoints("a", "b"), { addresses: ["10.0.0.9"], zone: "a", conditions: { ready: false } }];
  expect(zoneHints(withOneGoing, equal)).toEqual({ kind: "on", zones: ["a", "b", undefined] });
});

test("without enough to share out there are no hints, and it is said why", () => {
  const equal = new Map([
    ["a", 0.5],
    ["b", 0.5],
  ]);
  const why = (...args: Parameters<typeof zoneHints>): string => {
    const hints = zoneHints(...args);
    return hints.kind === "off" ? hints.why : "on";
  };
  expect(why(endpoints("a"), equal)).toBe("Insufficient number of endpoints (1 endpoints, 2 zones)");
  expect(why(endpoints("a", "b"), undefined)).toStartWith("Insufficient Node information");
  expect(why(endpoints("a", "b", "a", ""), equal)).toBe("One or more endpoints do not have a zone specified");
  const lopsided = new Map([
    ["a", 0.9],
    ["b", 0.05],
    ["c", 0.05],
  ]);
  expect(why(endpoints("a", "b", "c"), lopsided)).toStartWith("Unable to allocate minimum required endpoints");
});

test("a Service that asks for it gets hints by zones, and loses them with the zones", async () => {
  const harness = await Harness.onApiServer();
  const { client } = harness;
  await harness.run(endpointSliceController());
  for (const zone of ["a", "b"]) {
    await client.create(nodes, node(zone, zone));
    const status = { phase: "Running", podIPs: [{ ip: `10.0.0.${zone === "a" ? 1 : 2}` }] };
    const conditions = [{ type: "Ready", status: "True" }];
    const made = testPod(zone, { nodeName: zone }, { labels: { app: "x" }, status: { ...status, conditions } });
    await client.create(pods, made);
  }
  await client.create(services, {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "s",
      namespace: "default",
      annotations: { "service.kubernetes.io/topology-mode": "Auto" },
    },
    spec: { selector: { app: "x" }, ports: [{ port: 80 }], clusterIP: "10.43.0.9", clusterIPs: ["10.43.0.9"] },
  });
  const hints = async (): Promise<string> => {
    const { items } = await client.list(endpointSlices);
    const all = items.flatMap((slice) => slice.endpoints.map(({ hints: own }) => own?.forZones?.[0]?.name ?? "none"));
    return all.sort().join();
  };
  await eventually(async () => (await hints()) === "a,b", "hints");
  await client.delete(nodes, { name: "b" });
  await eventually(async () => (await hints()) === "none", "no hints, and nothing of the node that is gone");
  const told = harness.recorded.map((line) => line.split(":")[0]);
  expect(told.filter((line) => line?.includes("TopologyAware"))).toEqual([
    "Normal Service/s TopologyAwareHintsEnabled",
    "Warning Service/s TopologyAwareHintsDisabled",
  ]);
  await harness.stop();
});
