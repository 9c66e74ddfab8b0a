import { customResourceDefinitions, horizontalPodAutoscalers } from "#shared/api/resources.ts";
import { selectorOf, template } from "../controllers/manifests.ts";
import { type Fields, isRunning, type Scenario, type World } from "../controllers/world.ts";
import { autoscale, change, container, deploy, looks, running, tells, wants } from "./autoscalers.ts";
import type { MetricsStandIn } from "./metrics-stand-in.ts";
import { eachUses, usageOfPods } from "./served-metrics.ts";

/* What autoscalers are pointed at, rightly and wrongly. */

const podTemplate = (app: string): Fields => ({
  metadata: { labels: { app } },
  spec: { containers: [container()] },
});

const targeting = (world: World, name: string, scaleTargetRef: Fields): Promise<unknown> =>
  autoscale(world, { scaleTargetRef }, name);

/** A kind of the scenario's own, whose scale may tell the selector of its pods. */
async function define(world: World, kind: string, more: Fields): Promise<Fields> {
  const group = `${world.namespace}.example.com`;
  const plural = `${kind.toLowerCase()}s`;
  const scale = { specReplicasPath: ".spec.size", statusReplicasPath: ".status.size", ...more };
  const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  await world.client.create(customResourceDefinitions, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { spec: open, status: open } } },
          subresources: { status: {}, scale },
        },
      ],
    },
  } as never);
  const path = `/apis/${group}/v1/namespaces/${world.namespace}/${plural}`;
  const object = { apiVersion: `${group}/v1`, kind, metadata: { name: "web" }, spec: { size: 2 } };
  const made = async (): Promise<boolean> =>
    world.client.raw({ method: "POST", path, body: object }).then(
      () => true,
      () => false,
    );
  while (!(await made())) await Bun.sleep(200);
  // Controllers look for new kinds only now and then.
  await looks();
  const status = { size: 2, selector: "app=web" };
  await world.client.raw({
    method: "PATCH",
    path: `${path}/web/status`,
    contentType: "application/merge-patch+json",
    body: { status },
  });
  return { apiVersion: `${group}/v1`, kind, name: "web" };
}

export const targetScenarios = (metrics: MetricsStandIn): readonly Scenario[] => [
  {
    name: "targets",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m")));
      const kinds = ["ReplicaSet", "StatefulSet"];
      for (const kind of kinds) {
        const app = kind.toLowerCase();
        const spec = { replicas: 1, selector: selectorOf(app), template: podTemplate(app) };
        await world.create(kind, app, { spec: { ...spec, ...(kind === "StatefulSet" && { serviceName: "x" }) } });
      }
      await running(world, 2);
      for (const kind of kinds)
        await targeting(world, kind.toLowerCase(), { apiVersion: "apps/v1", kind, name: kind.toLowerCase() });
      for (const kind of kinds) await wants(world, 2, kind.toLowerCase());
      await world.settle("twice as many");
    },
  },
  {
    name: "wrong-targets",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 1);
      await world.create("DaemonSet", "web", {
        spec: {
          selector: selectorOf("daemon"),
          template: { ...template("daemon"), spec: { containers: [container()], nodeSelector: { never: "x" } } },
        },
      });
      const wrong: Readonly<Record<string, Fields>> = {
        daemon: { apiVersion: "apps/v1", kind: "DaemonSet", name: "web" },
        absent: { apiVersion: "apps/v1", kind: "Deployment", name: "absent" },
        thing: { apiVersion: "example.com/v1", kind: "Thing", name: "web" },
      };
      for (const [name, target] of Object.entries(wrong)) await targeting(world, name, target);
      for (const name of Object.keys(wrong)) await tells(world, "FailedGetScale", name);
      await world.settle("none of them");
    },
  },
  {
    name: "another-version",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 1);
      await targeting(world, "web", { apiVersion: "apps/v9", kind: "Deployment", name: "web" });
      await tells(world, "ValidMetricFound");
      await world.settle("of its group");
    },
  },
  {
    name: "target-deleted",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 1);
      await autoscale(world);
      await wants(world, 1);
      await world.delete("Deployment", "web", { propagationPolicy: "Orphan" });
      await tells(world, "FailedGetScale");
      await world.settle("gone");
    },
  },
  {
    name: "target-changed",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 1);
      await world.create("ReplicaSet", "other", {
        spec: { replicas: 2, selector: selectorOf("other"), template: podTemplate("other") },
      });
      await running(world, 3);
      await autoscale(world);
      await wants(world, 1);
      await change(world, { scaleTargetRef: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "other" } });
      await wants(world, 2);
      await looks();
      await world.settle("the other");
    },
  },
  {
    name: "two-of-one",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("100m")));
      await deploy(world, 1);
      await autoscale(world, { maxReplicas: 1 }, "first");
      await tells(world, "ValidMetricFound", "first");
      await autoscale(world, {}, "second");
      await tells(world, "AmbiguousSelector", "second");
      await tells(world, "AmbiguousSelector", "first");
      await world.settle("both wait");
      await world.delete("HorizontalPodAutoscaler", "first");
      await wants(world, 2, "second");
      await world.settle("one goes on");
    },
  },
  {
    name: "overlapping-selectors",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      await deploy(world, 1);
      await autoscale(world, {}, "web");
      await wants(world, 1);
      const labels = { app: "web", also: "other" };
      await world.create("ReplicaSet", "other", {
        spec: {
          replicas: 1,
          selector: { matchLabels: { also: "other" } },
          template: { ...podTemplate("web"), metadata: { labels } },
        },
      });
      await running(world, 2);
      await targeting(world, "other", { apiVersion: "apps/v1", kind: "ReplicaSet", name: "other" });
      await tells(world, "AmbiguousSelector", "other");
      await tells(world, "AmbiguousSelector", "web");
      await world.settle("a pod of both");
    },
  },
  {
    name: "custom-target",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      for (const name of ["a", "b"])
        await world.create("Pod", name, { spec: { containers: [container()] } }, { labels: { app: "web" } });
      await world.runAll();
      const target = await define(world, "Thing", { labelSelectorPath: ".status.selector" });
      await targeting(world, "web", target);
      await wants(world, 2);
      metrics.serve(world.namespace, usageOfPods(world, eachUses("80m")));
      await tells(world, '"desiredReplicas":4');
      await world.settle("above");
      const { spec } = (await world.client.raw({
        method: "GET",
        path: `/apis/${target["apiVersion"]}/namespaces/${world.namespace}/things/web`,
      })) as { spec: object };
      await world.create("ConfigMap", "told", { data: { spec: JSON.stringify(spec) } });
      await world.settle("its size");
    },
  },
  {
    name: "custom-target-without-selector",
    async play(world) {
      metrics.serve(world.namespace, usageOfPods(world, eachUses("50m")));
      const target = await define(world, "Widget", {});
      await targeting(world, "web", target);
      await tells(world, "InvalidSelector");
      await world.settle("no selector");
      await targeting(world, "bounded", { ...target });
      await world.client.patch(
        horizontalPodAutoscalers,
        { namespace: world.namespace, name: "bounded" },
        { type: "merge", body: { spec: { minReplicas: 3 } } },
      );
      await tells(world, "SucceededRescale", "bounded");
      await looks();
      await world.settle("its bounds are kept");
      await world.create("ConfigMap", "pods", { data: { running: String(world.pods(isRunning).length) } });
      await world.settle("no pods");
    },
  },
];
