import { horizontalPodAutoscalers } from "#shared/api/resources.ts";
import { selectorOf } from "../controllers/manifests.ts";
import { type Fields, isRunning, type Scenario } from "../controllers/world.ts";
import {
  autoscale,
  autoscaleAnew,
  averageOf,
  change,
  container,
  deploy,
  looks,
  resource,
  running,
  tells,
  utilization,
  wants,
  wholeOf,
} from "./autoscalers.ts";
import type { MetricsStandIn } from "./metrics-stand-in.ts";
import {
  eachUses,
  either,
  externalValues,
  keepAsked,
  podMetrics,
  refusing,
  usageOfPods,
  valuesOfObjects,
  valuesOfPods,
} from "./served-metrics.ts";

/* What autoscalers make of each kind of metric, of what is missing and of what is refused. */

const podsMetric = (averageValue: string, selector?: Fields): Fields => ({
  type: "Pods",
  pods: { metric: { name: "hits", ...(selector && { selector }) }, target: averageOf(averageValue) },
});
const objectMetric = (target: Fields, describedObject: Fields, metric: Fields = {}): Fields => ({
  type: "Object",
  object: { metric: { name: "hits", ...metric }, describedObject, target },
});
const externalMetric = (target: Fields, metric: Fields = {}): Fields => ({
  type: "External",
  external: { metric: { name: "queue", ...metric }, target },
});
const service: Fields = { apiVersion: "v1", kind: "Service", name: "web" };
const labelled: Fields = {
  matchLabels: { b: "2", a: "1" },
  matchExpressions: [
    { key: "tier", operator: "In", values: ["x", "y"] },
    { key: "gone", operator: "DoesNotExist" },
  ],
};

export const metricScenarios = (metrics: MetricsStandIn): readonly Scenario[] => [
  {
    name: "resource-utilization",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 2);
      await autoscale(world, { minReplicas: 2, maxReplicas: 5 });
      await wants(world, 2);
      await world.settle("at the target");
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m")));
      await wants(world, 4);
      await world.settle("above");
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await running(world, 4);
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m")));
      await wants(world, 5);
      await world.settle("at most");
      metrics.serve(world.namespace, usageOfPods(world, eachUses("10m")));
      await running(world, 5);
      await wants(world, 2);
      await running(world, 2);
      await world.settle("at least");
      await keepAsked(world, metrics);
      await world.settle("asked");
    },
  },
  {
    name: "resource-uneven",
    async play(world) {
      const uses = ["33m", "77m", "101m"];
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 3);
      await autoscale(world);
      await wants(world, 3);
      metrics.serve(
        world.namespace,
        usageOfPods(world, (_, index) => ({ main: { cpu: uses[index] ?? "0" } })),
      );
      await wants(world, 5);
      await world.settle("uneven");
    },
  },
  {
    name: "resource-average-value",
    async play(world) {
      const memory = (amount: string) => usageOfPods(world, () => ({ main: { memory: amount, cpu: "1500m" } }));
      metrics.serve(world.namespace, memory("64Mi"));
      await deploy(world, 2);
      await autoscale(world, { metrics: [resource("memory", averageOf("64Mi"))] });
      await wants(world, 2);
      await world.settle("at the target");
      metrics.serve(world.namespace, memory("99999999"));
      await wants(world, 3);
      await world.settle("above");
      await change(world, { metrics: [resource("cpu", averageOf("1500m"))] });
      await looks();
      await world.settle("of the CPU");
      metrics.serve(
        world.namespace,
        usageOfPods(world, (_, index) => ({ main: { cpu: index === 0 ? "123456789n" : "4" } })),
      );
      await looks();
      await world.settle("fractions of the CPU");
    },
  },
  {
    name: "resource-memory-utilization",
    async play(world) {
      const memory = (amount: string) => usageOfPods(world, () => ({ main: { memory: amount } }));
      metrics.serve(world.namespace, memory("50Mi"));
      await deploy(world, 2);
      await autoscale(world, { metrics: [utilization(50, "memory")] });
      await wants(world, 2);
      metrics.serve(world.namespace, memory("80000Ki"));
      await wants(world, 4);
      await world.settle("above");
    },
  },
  {
    name: "container-resource",
    async play(world) {
      const uses = (main: string, side?: string) =>
        usageOfPods(world, () => ({ main: { cpu: main }, ...(side && { side: { cpu: side } }) }));
      metrics.serve(world.namespace, uses("10m", "100m"));
      await deploy(world, 2, { containers: [container("main"), container("side", { cpu: "200m" })] });
      const of = (name: string, target: Fields): Fields => ({
        type: "ContainerResource",
        containerResource: { name: "cpu", container: name, target },
      });
      await autoscale(world, { metrics: [of("side", { type: "Utilization", averageUtilization: 50 })] });
      await wants(world, 2);
      await world.settle("at the target");
      metrics.serve(world.namespace, uses("900m", "150m"));
      await wants(world, 3);
      await world.settle("above");
      metrics.serve(world.namespace, uses("900m"));
      await tells(world, "FailedGetContainerResourceMetric");
      await world.settle("it says nothing");
      metrics.serve(world.namespace, uses("10m", "100m"));
      await running(world, 3);
      await autoscaleAnew(world, { metrics: [of("other", { type: "Utilization", averageUtilization: 50 })] });
      await tells(world, "FailedGetContainerResourceMetric");
      await world.settle("no such container");
      metrics.serve(
        world.namespace,
        usageOfPods(world, () => ({ other: { cpu: "1" } })),
      );
      await autoscaleAnew(world, { metrics: [of("other", { type: "Utilization", averageUtilization: 50 })] });
      await tells(world, "not found in Pod");
      await world.settle("no such container but in the metrics");
      metrics.serve(world.namespace, uses("10m", "100m"));
      await change(world, { metrics: [of("side", averageOf("50m"))] });
      await wants(world, 6);
      await world.settle("average value");
    },
  },
  {
    name: "resource-several-containers",
    async play(world) {
      const uses = (side: Fields) => usageOfPods(world, () => ({ main: { cpu: "50m" }, side: side as never }));
      metrics.serve(world.namespace, uses({ cpu: "100m" }));
      const initContainers = [
        { ...container("sidecar", { cpu: "50m" }), restartPolicy: "Always" },
        container("once", { cpu: "4" }),
      ];
      await deploy(world, 2, { initContainers, containers: [container("main"), container("side", { cpu: "150m" })] });
      await autoscale(world);
      await wants(world, 2);
      await world.settle("sidecars count");
      metrics.serve(world.namespace, uses({ memory: "1Mi" }));
      await tells(world, "FailedGetResourceMetric");
      await world.settle("one of them says nothing");
    },
  },
  {
    name: "resource-pod-level",
    async play(world) {
      const usage = { main: { cpu: "100m", memory: "50Mi", "ephemeral-storage": "1Mi" } };
      metrics.serve(
        world.namespace,
        usageOfPods(world, () => usage),
      );
      const podLevel = (requests: Fields): Fields => ({ resources: { requests }, containers: [container()] });
      await deploy(world, 2, podLevel({ cpu: "200m" }));
      await autoscale(world);
      await wants(world, 2);
      await world.settle("requested by the pod");
      await change(world, { metrics: [utilization(50, "memory")] });
      await looks();
      await world.settle("requested by containers");
      await change(world, { metrics: [utilization(50, "ephemeral-storage")] });
      await tells(world, "FailedGetResourceMetric");
      await world.settle("requested by nobody");
    },
  },
  {
    name: "resource-no-requests",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m")));
      await deploy(world, 1, { containers: [container("main", { memory: "1Mi" })] });
      await autoscale(world);
      await tells(world, "FailedGetResourceMetric");
      await world.settle("none");
    },
  },
  {
    name: "pods-metric",
    async play(world) {
      metrics.serve(
        world.namespace,
        valuesOfPods(world, "hits", () => "10"),
      );
      await deploy(world, 2);
      await autoscale(world, { metrics: [podsMetric("10")] });
      await wants(world, 2);
      await world.settle("at the target");
      metrics.serve(
        world.namespace,
        valuesOfPods(world, "hits", (_, index) => (index === 0 ? "12500m" : "1e1")),
      );
      await wants(world, 3);
      await world.settle("above");
      metrics.serve(
        world.namespace,
        valuesOfPods(world, "hits", () => "10"),
      );
      await change(world, { metrics: [podsMetric("10", labelled)] });
      await looks();
      await world.settle("with a selector");
      metrics.serve(
        world.namespace,
        valuesOfPods(world, "hits", () => undefined),
      );
      await tells(world, "FailedGetPodsMetric");
      await world.settle("none");
      await keepAsked(world, metrics);
      await world.settle("asked");
    },
  },
  {
    name: "object-value",
    async play(world) {
      const hits = (value: string | readonly string[]) => valuesOfObjects({ "services/web/hits": value });
      metrics.serve(world.namespace, hits("20"));
      await deploy(world, 2);
      await autoscale(world, { metrics: [objectMetric(wholeOf("20"), service)] });
      await wants(world, 2);
      await world.settle("at the target");
      metrics.serve(world.namespace, hits("50"));
      await wants(world, 5);
      await world.settle("above");
      metrics.serve(world.namespace, hits(["50", "60"]));
      await tells(world, "FailedGetObjectMetric");
      await world.settle("two values");
      metrics.serve(world.namespace, hits([]));
      await autoscaleAnew(world, { metrics: [objectMetric(wholeOf("20"), service)] });
      await tells(world, "FailedGetObjectMetric");
      await world.settle("no value");
      metrics.serve(world.namespace, hits("0"));
      await wants(world, 1);
      await running(world, 1);
      await world.settle("nothing");
    },
  },
  {
    name: "object-average-value",
    async play(world) {
      const hits = (value: string) => valuesOfObjects({ "services/web/hits": value });
      metrics.serve(world.namespace, hits("20"));
      await deploy(world, 2);
      await autoscale(world, { metrics: [objectMetric(averageOf("10"), service)] });
      await wants(world, 2);
      await world.settle("at the target");
      metrics.serve(world.namespace, hits("45500m"));
      await wants(world, 5);
      await world.settle("above");
      metrics.serve(world.namespace, () => undefined);
      await tells(world, "FailedGetObjectMetric");
      await world.settle("unknown");
      metrics.serve(world.namespace, hits("50"));
      await change(world, { metrics: [objectMetric(averageOf("10"), service, { selector: labelled })] });
      await looks();
      await world.settle("with a selector");
      metrics.serve(world.namespace, hits("80"));
      await wants(world, 8);
      await world.settle("above with a selector");
      await keepAsked(world, metrics);
      await world.settle("asked");
    },
  },
  {
    name: "object-kinds",
    async play(world) {
      metrics.serve(
        world.namespace,
        valuesOfObjects({
          "deployments.apps/web/hits": "11",
          "metrics/hits": "12",
          "nodes/node-1/hits": "13",
          "ingresses.networking.k8s.io/web/hits": "14",
        }),
      );
      await deploy(world, 1);
      const of = (apiVersion: string, kind: string, name = "web"): Fields =>
        objectMetric(wholeOf("10"), { apiVersion, kind, name });
      await autoscale(world, { maxReplicas: 1, metrics: [of("apps/v1", "Deployment")] });
      await tells(world, '"11"');
      await world.settle("a Deployment");
      await change(world, { metrics: [of("v1", "Namespace", "elsewhere")] });
      await tells(world, '"12"');
      await world.settle("a Namespace");
      await change(world, { metrics: [of("v1", "Node", "node-1")] });
      await tells(world, '"13"');
      await world.settle("a Node");
      await change(world, { metrics: [of("networking.k8s.io/v9", "Ingress")] });
      await tells(world, '"14"');
      await world.settle("another version");
      await change(world, { metrics: [of("example.com/v1", "Thing")] });
      await tells(world, "FailedGetObjectMetric");
      await world.settle("no such kind");
      await autoscaleAnew(world, { maxReplicas: 1, metrics: [of("v1", "Thing")] });
      await tells(world, "FailedGetObjectMetric");
      await world.settle("no such kind without a group");
      await keepAsked(world, metrics);
      await world.settle("asked");
    },
  },
  {
    name: "external-value",
    async play(world) {
      const queue = (...values: string[]) => externalValues({ queue: values });
      metrics.serve(world.namespace, queue("15", "5"));
      await deploy(world, 2);
      await autoscale(world, { metrics: [externalMetric(wholeOf("20"))] });
      await wants(world, 2);
      await world.settle("at the target");
      metrics.serve(world.namespace, queue("15", "15500m"));
      await wants(world, 4);
      await world.settle("above");
      metrics.serve(world.namespace, queue());
      await tells(world, "FailedGetExternalMetric");
      await world.settle("none");
      metrics.serve(world.namespace, queue("20"));
      await change(world, { metrics: [externalMetric(wholeOf("20"), { selector: labelled })] });
      await looks();
      await world.settle("with a selector");
      metrics.serve(world.namespace, () => undefined);
      await autoscaleAnew(world, { metrics: [externalMetric(wholeOf("20"), { selector: labelled })] });
      await tells(world, "FailedGetExternalMetric");
      await world.settle("unknown");
      await keepAsked(world, metrics);
      await world.settle("asked");
    },
  },
  {
    name: "external-average-value",
    async play(world) {
      const queue = (...values: string[]) => externalValues({ queue: values });
      metrics.serve(world.namespace, queue("20"));
      await deploy(world, 2);
      await autoscale(world, { metrics: [externalMetric(averageOf("10"))] });
      await wants(world, 2);
      await world.settle("at the target");
      metrics.serve(world.namespace, queue("31", "1"));
      await wants(world, 4);
      await world.settle("above");
      metrics.serve(world.namespace, queue("40"));
      await running(world, 4);
      await change(world, { metrics: [externalMetric(averageOf("10"), { selector: {} })] });
      await looks();
      await world.settle("with a selector that takes all");
      metrics.serve(world.namespace, queue("65"));
      await wants(world, 7);
      await world.settle("above with a selector that takes all");
      metrics.serve(world.namespace, queue("6", "-5"));
      await wants(world, 1);
      await running(world, 1);
      await world.settle("values below zero");
    },
  },
  {
    name: "several-metrics",
    async play(world) {
      const served = (cpu: string, hits: string | undefined, queue: string) =>
        either(
          usageOfPods(world, eachUses(cpu)),
          valuesOfPods(world, "hits", () => hits),
          externalValues({ queue: [queue] }),
        );
      metrics.serve(world.namespace, served("50m", "10", "20"));
      await deploy(world, 2);
      await autoscale(world, { metrics: [utilization(50), podsMetric("10"), externalMetric(averageOf("10"))] });
      await wants(world, 2);
      await world.settle("at their targets");
      metrics.serve(world.namespace, served("75m", "20", "30"));
      await wants(world, 4);
      await world.settle("the most of them");
      metrics.serve(world.namespace, served("50m", undefined, "60"));
      await wants(world, 6);
      await world.settle("larger though one is missing");
      metrics.serve(world.namespace, served("10m", undefined, "10"));
      await tells(world, "FailedGetPodsMetric");
      await world.settle("not smaller while one is missing");
    },
  },
  {
    name: "missing-pods",
    async play(world) {
      const uses = (cpu: string, silent: number) =>
        usageOfPods(world, (_, index) => (index < silent ? undefined : { main: { cpu } }));
      metrics.serve(world.namespace, uses("50m", 0));
      await deploy(world, 4);
      await autoscale(world, { minReplicas: 2 });
      await wants(world, 4);
      metrics.serve(world.namespace, uses("50m", 1));
      await looks();
      await world.settle("one is silent");
      metrics.serve(world.namespace, uses("30m", 1));
      await looks();
      await world.settle("idle while one is silent");
      metrics.serve(world.namespace, uses("60m", 1));
      await looks();
      await world.settle("busy while one is silent");
      metrics.serve(world.namespace, uses("100m", 1));
      await wants(world, 6);
      await world.settle("very busy while one is silent");
      metrics.serve(world.namespace, uses("100m", 9));
      await tells(world, "FailedGetResourceMetric");
      await world.settle("all are silent");
      metrics.serve(world.namespace, (request) =>
        request.api === "resource" ? [podMetrics("stranger", { main: { cpu: "1" } })] : undefined,
      );
      await autoscaleAnew(world, { minReplicas: 2 });
      await tells(world, "FailedGetResourceMetric");
      await world.settle("a stranger is not");
    },
  },
  {
    name: "strangers",
    async play(world) {
      const uses = (cpu: string) =>
        either((request) => {
          const own = usageOfPods(world, eachUses(cpu))(request);
          return Array.isArray(own) ? [...own, podMetrics("stranger", { main: { cpu: "7" } })] : undefined;
        });
      metrics.serve(world.namespace, uses("50m"));
      await deploy(world, 2);
      await autoscale(world);
      await wants(world, 2);
      await world.settle("no share of them counts");
      await change(world, { metrics: [resource("cpu", averageOf("2400m"))] });
      await looks();
      await world.settle("their value counts");
    },
  },
  {
    name: "missing-average-value",
    async play(world) {
      const hits = (value: string, silent: number) =>
        valuesOfPods(world, "hits", (_, index) => (index < silent ? undefined : value));
      metrics.serve(world.namespace, hits("10", 0));
      await deploy(world, 4);
      await autoscale(world, { metrics: [podsMetric("10")] });
      await wants(world, 4);
      metrics.serve(world.namespace, hits("6", 2));
      await looks();
      await world.settle("idle while two are silent");
      metrics.serve(world.namespace, hits("30", 2));
      await wants(world, 6);
      await world.settle("busy while two are silent");
    },
  },
  {
    name: "starting-pods",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 3);
      await autoscale(world);
      await wants(world, 3);
      const [first, second, third] = world.pods(isRunning);
      if (first) await world.unready(first);
      await looks();
      await world.settle("one is not ready");
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m")));
      await wants(world, 4);
      await world.settle("busy while one is not ready");
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m"), { age_s: 0, window_s: 3600 }));
      await tells(world, "FailedGetResourceMetric");
      await world.settle("metrics of before it was ready");
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m"), { age_s: 3600, window_s: 1 }));
      await looks();
      await world.settle("old metrics");
      const startTime = new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+/, "");
      for (const pod of [first, second, third]) if (pod) await world.report(pod, { startTime });
      await wants(world, 6);
      await world.settle("they started long ago");
    },
  },
  {
    name: "never-ready-pods",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 3);
      await autoscale(world);
      await wants(world, 3);
      const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString().replace(/\.\d+/, "");
      const [first] = world.pods(isRunning);
      const conditions = [{ type: "Ready", status: "False", lastTransitionTime: ago(3595) }];
      if (first) await world.report(first, { startTime: ago(3600), conditions });
      await looks();
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m")));
      await wants(world, 4);
      await world.settle("never ready since it started long ago");
    },
  },
  {
    name: "failed-pods",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await world.create("ReplicationController", "web", {
        spec: {
          replicas: 2,
          selector: { app: "web" },
          template: { metadata: { labels: { app: "web" } }, spec: { containers: [container()] } },
        },
      });
      await running(world, 2);
      await autoscale(world, { scaleTargetRef: { apiVersion: "v1", kind: "ReplicationController", name: "web" } });
      await wants(world, 2);
      await world.settle("at the target");
      const [first] = world.pods(isRunning);
      if (first) await world.fail(first);
      await running(world, 2);
      await world.settle("one has failed");
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m")));
      await wants(world, 4);
      await world.settle("above");
    },
  },
  {
    name: "refusals",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 1);
      const all = [
        utilization(50),
        podsMetric("10"),
        objectMetric(wholeOf("20"), { apiVersion: "apps/v1", kind: "Deployment", name: "web" }),
        objectMetric(averageOf("20"), { apiVersion: "v1", kind: "Namespace", name: "x" }),
        externalMetric(wholeOf("20")),
        externalMetric(averageOf("20"), { name: "other" }),
      ];
      await autoscale(world, { metrics: all });
      await tells(world, "ValidMetricFound");
      await looks();
      await world.settle("unknown");
      const answers = {
        "text of 503": refusing(503, "text/plain", "nobody is here\n"),
        "text of 500": refusing(500, "text/plain", 'it "broke"'),
        "JSON of 500": refusing(500, "application/json", '{"error": "it broke"}'),
        "text of 404": refusing(404, "text/plain", "404 page not found\n"),
        "text of 403": refusing(403, "text/plain; charset=utf-8", "you may not"),
        "text of 418": refusing(418, "text/plain", "a teapot"),
        "a Status of 500": refusing(
          500,
          "application/json",
          '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"it broke","code":500}',
        ),
      };
      for (const [label, answer] of Object.entries(answers)) {
        metrics.serve(world.namespace, answer);
        await autoscaleAnew(world, { metrics: all });
        await tells(world, "FailedGetResourceMetric");
        await world.settle(label);
      }
    },
  },
  {
    name: "first-version",
    async play(world) {
      const body = {
        apiVersion: "autoscaling/v1",
        kind: "HorizontalPodAutoscaler",
        metadata: { name: "web" },
        spec: {
          scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
          maxReplicas: 3,
          targetCPUUtilizationPercentage: 40,
        },
      };
      metrics.serve(world.namespace, usageOfPods(world, eachUses("40m")));
      await deploy(world, 1);
      const path = `/apis/autoscaling/v1/namespaces/${world.namespace}/horizontalpodautoscalers`;
      await world.client.raw({ method: "POST", path, body });
      await wants(world, 1);
      await world.settle("at the target");
      const { metadata, status } = (await world.client.raw({ method: "GET", path: `${path}/web` })) as {
        metadata: { annotations: Record<string, string> };
        status: object;
      };
      await world.create("ConfigMap", "told", {
        data: {
          annotations: JSON.stringify(Object.entries(metadata.annotations).toSorted()),
          status: JSON.stringify(status),
        },
      });
      await world.settle("as the first version has it");
      await world.client.delete(horizontalPodAutoscalers, { namespace: world.namespace, name: "web" });
      metrics.serve(world.namespace, usageOfPods(world, eachUses("90m")));
      await looks();
      await world.settle("gone");
    },
  },
  {
    name: "no-pods",
    async play(world) {
      metrics.serve(world.namespace, externalValues({ queue: ["50"] }));
      const template = { metadata: { labels: { app: "web" } }, spec: { containers: [container()] } };
      await world.create("Deployment", "web", {
        spec: { replicas: 2, paused: true, selector: selectorOf("web"), template },
      });
      await autoscale(world, { metrics: [externalMetric(wholeOf("10"))] });
      await tells(world, "FailedGetExternalMetric");
      await world.settle("none of a Deployment that is paused");
      await change(world, { metrics: [podsMetric("10")] });
      await tells(world, "FailedGetPodsMetric");
      await world.settle("none for a metric of pods");
    },
  },
];
