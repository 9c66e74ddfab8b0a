import { afterEach, describe, expect, test } from "bun:test";
import { endpointSlices, endpoints, nodes, pods, services } from "#shared/api/resources.ts";
import type { Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import { testNode, testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { endpointSliceController } from "./endpoint-slice.ts";
import { endpointsController } from "./endpoints.ts";
import { TriggerTimes, triggerTimeAnnotation } from "./trigger-time.ts";

const service = (creationTimestamp?: string): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "s", namespace: "default", ...(creationTimestamp ? { creationTimestamp } : {}) },
  spec: {
    clusterIP: "10.43.0.9",
    clusterIPs: ["10.43.0.9"],
    ipFamilies: ["IPv4"],
    selector: { app: "web" },
    ports: [{ port: 80, protocol: "TCP" }],
  },
});
const pod = (name: string, readySince: string, status = "True"): Pod =>
  testPod(
    name,
    { nodeName: "a" },
    {
      labels: { app: "web" },
      status: {
        podIP: "10.42.0.1",
        podIPs: [{ ip: "10.42.0.1" }],
        conditions: [{ type: "Ready", status, lastTransitionTime: readySince }],
      },
    },
  );

describe("what a Service's endpoints are written for", () => {
  const created = "2026-01-01T00:00:00Z";
  const [first, second, third] = ["2026-01-02T00:00:01Z", "2026-01-02T00:00:02Z", "2026-01-02T00:00:03Z"];

  test("the Service itself when it is new, whatever its pods", () => {
    expect(new TriggerTimes().next("default/s", service(created), [pod("a", first)])).toBe(created);
  });

  test("then the earliest change since the last look, and nothing where none has a time", () => {
    const times = new TriggerTimes();
    times.next("default/s", service(created), [pod("a", first)]);
    expect(times.next("default/s", service(created), [pod("a", first)])).toBeUndefined();
    expect(times.next("default/s", service(created), [pod("a", third), pod("b", second)])).toBe(second);
    expect(times.next("default/s", service(created), [pod("b", second)])).toBeUndefined();
    expect(times.next("default/s", service(created), [pod("a", third), pod("b", second)])).toBe(third);
  });

  test("a Service made again counts as changed, and one that was forgotten as new", () => {
    const times = new TriggerTimes();
    times.next("default/s", service(created), []);
    expect(times.next("default/s", service(first), [pod("a", second)])).toBe(first);
    times.forget("default/s");
    expect(times.next("default/s", service(created), [pod("a", third)])).toBe(created);
  });
});

describe("controllers", () => {
  let harness: Harness<RecordingClient>;
  afterEach(() => harness.stop());

  test("say it at what they write, and take it away with the next write that has no time", async () => {
    harness = await Harness.onApiServer();
    const { client } = harness;
    await client.create(nodes, testNode("a"));
    await harness.run(endpointSliceController());
    await harness.run(endpointsController());
    const made = await client.create(services, service());
    const marks = async (): Promise<string> => {
      const [slice] = (await client.list(endpointSlices)).items;
      const [old] = (await client.list(endpoints)).items;
      const addresses = [
        slice?.endpoints.length ?? 0,
        (old?.subsets ?? []).flatMap((subset) => subset.addresses ?? []).length,
      ];
      const times = [slice, old].map((object) => object?.metadata.annotations?.[triggerTimeAnnotation] ?? "none");
      return [...addresses, ...times].join(" ");
    };
    const created = made.metadata.creationTimestamp;
    await eventually(async () => (await marks()) === `0 0 ${created} ${created}`, "the Service's own time");
    const turned = new Date(Date.parse(created ?? "") + 3_600_000).toISOString().replace(".000Z", "Z");
    await client.create(pods, pod("p1", turned));
    await eventually(async () => (await marks()) === `1 1 ${turned} ${turned}`, "the pod's time");
    await client.delete(pods, { namespace: "default", name: "p1" }, { gracePeriodSeconds: 0 });
    await eventually(async () => (await marks()) === "0 0 none none", "no time");
  });
});
