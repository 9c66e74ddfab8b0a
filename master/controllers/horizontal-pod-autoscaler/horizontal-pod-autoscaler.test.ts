import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { horizontalPodAutoscalers, pods, replicaSets } from "#shared/api/resources.ts";
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerBehavior,
} from "#shared/api/types/autoscaling-v2.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { RawRequest } from "#shared/client/client.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { testPod } from "../../scheduler/testing.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import type { RecordingClient } from "../testing/recording-client.ts";
import { webTemplate } from "../testing/workloads.ts";
import { usualAutoscaling } from "./autoscaling-settings.ts";
import { firstMemory, normalize, remember } from "./behaviour.ts";
import { horizontalPodAutoscalerController } from "./horizontal-pod-autoscaler.ts";
import { byAverage, byRatio, byShare, byUtilization } from "./replica-calculator.ts";

const now = "2026-01-01T12:00:00Z";
const now_ms = Date.parse(now);
const tolerance = { up: 0.1, down: 0.1 };
const pod = (name: string, phase = "Running"): Pod =>
  testPod(
    name,
    {},
    {
      requests: { cpu: "100m" },
      labels: { app: "web" },
      status: {
        phase,
        startTime: "2026-01-01T00:00:00Z",
        conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:10Z" }],
      },
    },
  );
const usage = (milli: Record<string, number>) =>
  new Map(
    Object.entries(milli).map(([name, value]) => [name, { milli: value, timestamp_ms: now_ms, window_ms: 60_000 }]),
  );

describe("replicas by metrics", () => {
  const input = (pods: readonly Pod[], milli: Record<string, number>) => ({
    currentReplicas: pods.length,
    pods,
    metrics: usage(milli),
    tolerance,
    starting: usualAutoscaling,
    now_ms,
  });
  const three = [pod("a"), pod("b"), pod("c")];

  test("grow and shrink by the ratio, and stay within the tolerance", () => {
    const by = (milli: Record<string, number>) => byUtilization(input(three, milli), 50, "cpu", undefined);
    expect(by({ a: 100, b: 100, c: 100 })).toEqual({ replicas: 6, utilization: 100, averageMilli: 100 });
    expect(by({ a: 10, b: 10, c: 10 }).replicas).toBe(1);
    expect(by({ a: 54, b: 54, c: 54 }).replicas).toBe(3);
  });

  test("pods that say nothing weigh against the change", () => {
    const by = (milli: Record<string, number>) => byUtilization(input(three, milli), 50, "cpu", undefined).replicas;
    expect(by({ a: 100, b: 100 })).toBe(4);
    expect(by({ a: 10, b: 10 })).toBe(3);
    const starting = [pod("a"), pod("b"), pod("c", "Pending")];
    expect(byAverage(input(starting, { a: 100, b: 100 }), 50, "cpu").replicas).toBe(4);
  });

  test("what cannot be told is an error that says so", () => {
    expect(() => byUtilization(input([], {}), 50, "cpu", undefined)).toThrow("no pods returned by selector");
    expect(() => byUtilization(input(three, {}), 50, "cpu", undefined)).toThrow("did not receive metrics");
    expect(() => byUtilization(input(three, { a: 1 }), 50, "memory", undefined)).toThrow(
      "missing request for memory in container main of Pod a",
    );
    expect(() => byUtilization(input(three, { a: 1 }), 50, "cpu", "other")).toThrow(
      "container other not found in Pod a",
    );
  });

  test("one value for all pods", () => {
    expect(byRatio(input(three, {}), 2)).toBe(6);
    expect(byRatio(input(three, {}), 1.05)).toBe(3);
    expect(byShare(3, 9_000, 1_000, tolerance)).toEqual({ replicas: 9, averageMilli: 3_000 });
  });
});

describe("behaviour", () => {
  const bounds = { min: 1, max: 20 };
  const usualDownWindow_s = 300;

  test("without rules it grows to double at once and shrinks to the most of five minutes", () => {
    const start = firstMemory(5, 0);
    const grown = normalize({
      desired: 18,
      current: 5,
      bounds,
      behaviour: undefined,
      memory: start,
      usualDownWindow_s,
      now_ms: 1_000,
    });
    expect(grown).toMatchObject({ replicas: 10, scalingLimited: { status: "True", reason: "ScaleUpLimit" } });
    const held = normalize({
      desired: 2,
      current: 5,
      bounds,
      behaviour: undefined,
      memory: start,
      usualDownWindow_s,
      now_ms: 1_000,
    });
    expect(held).toMatchObject({ replicas: 5, ableToScale: { reason: "ScaleDownStabilized" } });
    expect(
      normalize({
        desired: 2,
        current: 5,
        bounds,
        behaviour: undefined,
        memory: held.memory,
        usualDownWindow_s,
        now_ms: 400_000,
      }).replicas,
    ).toBe(2);
    expect(
      normalize({
        desired: 30,
        current: 15,
        bounds,
        behaviour: undefined,
        memory: firstMemory(15, 0),
        usualDownWindow_s,
        now_ms: 0,
      }),
    ).toMatchObject({
      replicas: 20,
      scalingLimited: { reason: "TooManyReplicas" },
    });
  });

  test("policies limit what happens in their period", () => {
    const behaviour: HorizontalPodAutoscalerBehavior = {
      scaleUp: {
        stabilizationWindowSeconds: 0,
        selectPolicy: "Max",
        policies: [
          { type: "Pods", value: 2, periodSeconds: 60 },
          { type: "Percent", value: 10, periodSeconds: 60 },
        ],
      },
      scaleDown: {
        stabilizationWindowSeconds: 0,
        selectPolicy: "Min",
        policies: [
          { type: "Pods", value: 1, periodSeconds: 60 },
          { type: "Percent", value: 50, periodSeconds: 60 },
        ],
      },
    };
    const start = firstMemory(5, 0);
    expect(
      normalize({ desired: 20, current: 5, bounds, behaviour, memory: start, usualDownWindow_s, now_ms: 1_000 })
        .replicas,
    ).toBe(7);
    const after = remember(start, 5, 7, behaviour, 1_000);
    expect(
      normalize({ desired: 20, current: 7, bounds, behaviour, memory: after, usualDownWindow_s, now_ms: 30_000 })
        .replicas,
    ).toBe(7);
    expect(
      normalize({ desired: 20, current: 7, bounds, behaviour, memory: after, usualDownWindow_s, now_ms: 62_000 })
        .replicas,
    ).toBe(9);
    expect(
      normalize({
        desired: 1,
        current: 7,
        bounds,
        behaviour,
        memory: firstMemory(7, 0),
        usualDownWindow_s,
        now_ms: 400_000,
      }),
    ).toMatchObject({
      replicas: 6,
      scalingLimited: { reason: "ScaleDownLimit" },
    });
    const disabled = { ...behaviour, scaleDown: { ...behaviour.scaleDown, selectPolicy: "Disabled" } };
    expect(
      normalize({
        desired: 1,
        current: 7,
        bounds,
        behaviour: disabled,
        memory: firstMemory(7, 0),
        usualDownWindow_s,
        now_ms: 400_000,
      }).replicas,
    ).toBe(7);
  });
});

describe("a HorizontalPodAutoscaler", () => {
  const key = { namespace: "default", name: "web" };
  let harness: Harness<RecordingClient>;
  let clock: ManualClock;
  let cpu: string | undefined;
  beforeEach(async () => {
    harness = await Harness.onApiServer();
    clock = new ManualClock(now_ms);
    cpu = undefined;
    const { client } = harness;
    const raw = client.raw.bind(client);
    client.raw = async (request: RawRequest) => {
      if (!request.path.startsWith("/apis/metrics.k8s.io/") || cpu === undefined) return raw(request);
      const items = (await client.list(pods)).items.map(({ metadata }) => ({
        metadata: { name: metadata.name },
        timestamp: now,
        window: "30s",
        containers: [{ name: "main", usage: { cpu } }],
      }));
      return { items };
    };
    await client.create(replicaSets, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { ...key },
      spec: { replicas: 2, selector: { matchLabels: { app: "web" } }, template: webTemplate() },
      status: { replicas: 2 },
    });
    for (const name of ["a", "b"]) await client.create(pods, pod(name));
  });
  afterEach(() => harness.stop());
  const autoscaler: HorizontalPodAutoscaler = {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { ...key },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web" },
      maxReplicas: 5,
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } },
      ],
    },
  };
  const status = async () => (await harness.client.get(horizontalPodAutoscalers, key)).status;
  const condition = async (type: string) => (await status())?.conditions?.find((one) => one.type === type);
  const size = async () => (await harness.client.get(replicaSets, key)).spec.replicas;

  test("says why it cannot scale while there are no metrics, and scales when there are", async () => {
    await harness.client.create(horizontalPodAutoscalers, autoscaler);
    await harness.run(horizontalPodAutoscalerController(), clock);
    await eventually(async () => (await condition("ScalingActive"))?.status === "False", "said so");
    expect(await condition("ScalingActive")).toMatchObject({ reason: "FailedGetResourceMetric" });
    expect((await condition("ScalingActive"))?.message).toStartWith(
      "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: ",
    );
    expect(await condition("AbleToScale")).toMatchObject({ status: "True", reason: "SucceededGetScale" });
    cpu = "100m";
    await eventually(async () => {
      await clock.advance(15_000);
      return (await size()) === 4;
    }, "four replicas");
    await eventually(async () => (await status())?.desiredReplicas === 4, "the status");
    expect(await condition("AbleToScale")).toMatchObject({
      reason: "SucceededRescale",
      message: "the HPA controller was able to update the target scale to 4",
    });
    expect(await condition("ScalingActive")).toMatchObject({
      status: "True",
      message:
        "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)",
    });
    expect((await status())?.currentMetrics).toEqual([
      { type: "Resource", resource: { name: "cpu", current: { averageUtilization: 100, averageValue: "100m" } } },
    ]);
    const said =
      "Normal HorizontalPodAutoscaler/web SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of request) above target";
    await eventually(() => harness.recorded.includes(said), "the event");
  });

  test("says which of the metrics APIs is not there", async () => {
    const target = { type: "AverageValue", averageValue: "10" };
    const describedObject = { kind: "ReplicaSet", name: "web", apiVersion: "apps/v1" };
    const whole = { type: "Value", value: "5" };
    const told = [
      [
        { type: "Object", object: { metric: { name: "hits" }, describedObject, target: whole } },
        "unable to get metric hits: ReplicaSet on default web/unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered",
        "failed to get object metric value: ",
      ],
      [
        { type: "External", external: { metric: { name: "queue" }, target } },
        "unable to get external metric default/queue/nil: unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue.external.metrics.k8s.io)",
        "failed to get queue external metric value: failed to get queue external metric: ",
      ],
    ] as const;
    await harness.run(horizontalPodAutoscalerController(), clock);
    for (const [index, [metric, detail, prefix]] of told.entries()) {
      const metadata = { ...key, name: `web-${index}` };
      const spec = { ...autoscaler.spec, metrics: [metric] };
      await harness.client.create(horizontalPodAutoscalers, { ...autoscaler, metadata, spec });
      const event = `Warning HorizontalPodAutoscaler/web-${index} FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: ${prefix}${detail}`;
      await eventually(() => harness.recorded.includes(event), event);
      const { status: made } = await harness.client.get(horizontalPodAutoscalers, metadata);
      expect(made?.conditions?.find(({ type }) => type === "ScalingActive")?.message).toBe(
        `the HPA was unable to compute the replica count: ${detail}`,
      );
      await harness.client.delete(horizontalPodAutoscalers, metadata);
    }
  });

  test("asks for custom metrics in the version that the server prefers, of those that are understood", async () => {
    const target = { type: "AverageValue", averageValue: "10" };
    const spec = { ...autoscaler.spec, metrics: [{ type: "Pods", pods: { metric: { name: "hits" }, target } }] };
    const { client } = harness;
    const raw = client.raw.bind(client);
    const version = (name: string) => ({ groupVersion: `custom.metrics.k8s.io/${name}`, version: name });
    let versions = ["v1beta2", "v1beta1"];
    const asked: string[] = [];
    client.raw = async (request: RawRequest) => {
      if (request.path === "/apis/custom.metrics.k8s.io")
        return { versions: versions.map(version), preferredVersion: version(versions[0] ?? "") };
      if (!request.path.startsWith("/apis/custom.metrics.k8s.io/")) return raw(request);
      asked.push(request.path.split("/")[3] ?? "");
      return { items: [{ describedObject: { name: "a" }, timestamp: now, value: "10" }] };
    };
    await client.create(horizontalPodAutoscalers, { ...autoscaler, spec });
    await harness.run(horizontalPodAutoscalerController(), clock);
    await eventually(() => asked.at(-1) === "v1beta2", "the newer version");
    versions = ["v1alpha9", "v1beta1"];
    await eventually(async () => {
      await clock.advance(15_000);
      return asked.at(-1) === "v1beta1";
    }, "the one that is understood");
    versions = ["v1alpha9"];
    await eventually(async () => {
      await clock.advance(15_000);
      return (await condition("ScalingActive"))?.message?.endsWith("no known available metric versions found") === true;
    }, "none");
  });

  test("keeps its bounds without asking for metrics, and tells when there is no target", async () => {
    await harness.client.create(horizontalPodAutoscalers, {
      ...autoscaler,
      spec: { ...autoscaler.spec, minReplicas: 3 },
    });
    await harness.run(horizontalPodAutoscalerController(), clock);
    await eventually(async () => (await size()) === 3, "three replicas");
    const body = { spec: { scaleTargetRef: { name: "other" } } };
    await harness.client.patch(horizontalPodAutoscalers, key, { type: "merge", body });
    await eventually(async () => (await condition("AbleToScale"))?.status === "False", "no target");
    expect(await condition("AbleToScale")).toMatchObject({
      reason: "FailedGetScale",
      message: 'the HPA controller was unable to get the target\'s current scale: replicasets.apps "other" not found',
    });
  });
});
