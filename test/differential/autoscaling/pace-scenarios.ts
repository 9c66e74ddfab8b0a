import type { Scenario } from "../controllers/world.ts";
import {
  autoscale,
  averageOf,
  behaviour,
  change,
  deploy,
  looks,
  policy,
  running,
  tells,
  wants,
} from "./autoscalers.ts";
import type { MetricsStandIn } from "./metrics-stand-in.ts";
import { eachUses, externalValues, usageOfPods } from "./served-metrics.ts";

/* How far and how fast autoscalers follow their metrics: bounds, tolerances, policies and windows. */

export const paceScenarios = (metrics: MetricsStandIn): readonly Scenario[] => [
  {
    name: "tolerance",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 4);
      await autoscale(world);
      await wants(world, 4);
      uses("55m");
      await looks();
      await world.settle("just within it");
      uses("45m");
      await looks();
      await world.settle("just within it below");
      uses("56m");
      await wants(world, 5);
      await world.settle("beyond it");
    },
  },
  {
    name: "own-tolerance",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 4);
      await autoscale(world, behaviour({ tolerance: "0.5" }, { tolerance: "500m" }));
      await wants(world, 4);
      uses("75m");
      await looks();
      await world.settle("within a wide one");
      uses("25m");
      await looks();
      await world.settle("within a wide one below");
      uses("76m");
      await wants(world, 7);
      await world.settle("beyond a wide one");
      uses("50m");
      await running(world, 7);
      await change(world, behaviour({ tolerance: "0" }, {}));
      await looks();
      uses("51m");
      await wants(world, 8);
      await world.settle("beyond none");
    },
  },
  {
    name: "fine-tolerance",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 3);
      // Finer than thousandths: 30 of 30000 more.
      await autoscale(world, {
        metrics: [
          { type: "Resource", resource: { name: "cpu", target: { type: "AverageValue", averageValue: "30" } } },
        ],
        ...behaviour({ tolerance: "0.0005" }, { tolerance: "0.9999" }),
      });
      uses("30020m");
      await wants(world, 4);
      await world.settle("beyond it");
    },
  },
  {
    name: "double-at-most",
    async play(world) {
      const queue = (length: string): void => metrics.serve(world.namespace, externalValues({ queue: [length] }));
      queue("10");
      await deploy(world, 1);
      const external = { metric: { name: "queue" }, target: averageOf("10") };
      await autoscale(world, { maxReplicas: 18, metrics: [{ type: "External", external }] });
      await wants(world, 1);
      // Four at once, then twice as many each time.
      queue("300");
      await wants(world, 18);
      await world.settle("as many as may be");
    },
  },
  {
    name: "down-to-the-most",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 5);
      await autoscale(world);
      await wants(world, 5);
      uses("10m");
      await tells(world, "ScaleDownStabilized");
      await wants(world, 1);
      await running(world, 1);
      await world.settle("when the window is over");
    },
  },
  {
    name: "up-by-pods",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 2);
      const up = { policies: [policy("Pods", 1), policy("Percent", 10)] };
      await autoscale(world, behaviour(up));
      await wants(world, 2);
      uses("200m");
      await wants(world, 3);
      await world.settle("one more");
      uses("50m");
      await running(world, 3);
      uses("200m");
      await tells(world, "ScaleUpLimit");
      await world.settle("no more");
      await change(world, behaviour({ policies: [policy("Pods", 4)] }));
      await wants(world, 6);
      await world.settle("four since it began");
    },
  },
  {
    name: "up-by-percent",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 3);
      await autoscale(world, behaviour({ policies: [policy("Percent", 40)] }));
      await wants(world, 3);
      uses("500m");
      await wants(world, 5);
      await world.settle("two of five are more than a third of three");
    },
  },
  {
    name: "up-by-the-least",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 2);
      const policies = [policy("Pods", 1), policy("Percent", 100)];
      await autoscale(world, behaviour({ policies, selectPolicy: "Min" }));
      await wants(world, 2);
      uses("500m");
      await wants(world, 3);
      await world.settle("the least");
      uses("50m");
      await running(world, 3);
      await change(world, behaviour({ policies, selectPolicy: "Disabled" }));
      await looks();
      uses("500m");
      await tells(world, "ScaleUpLimit");
      await world.settle("disabled");
      await change(world, { maxReplicas: 3 });
      await tells(world, "TooManyReplicas");
      await world.settle("as many as may be");
    },
  },
  {
    name: "up-step-by-step",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 1);
      await autoscale(world, { maxReplicas: 4, ...behaviour({ policies: [policy("Pods", 1, 15)] }) });
      await wants(world, 1);
      uses("500m");
      await wants(world, 4);
      await world.settle("all of them");
    },
  },
  {
    name: "down-by-pods",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 6);
      const policies = [policy("Pods", 1), policy("Percent", 50)];
      await autoscale(world, behaviour({}, { policies, selectPolicy: "Min" }));
      await wants(world, 6);
      uses("5m");
      await wants(world, 5);
      await running(world, 5);
      await world.settle("the least");
      await change(world, behaviour({}, { policies, selectPolicy: "Max" }));
      await wants(world, 3);
      await running(world, 3);
      await world.settle("the most");
      await change(world, behaviour({}, { policies, selectPolicy: "Disabled" }));
      await tells(world, "ScaleDownLimit");
      await world.settle("disabled");
      await change(world, behaviour({}, { policies: [policy("Percent", 100)], selectPolicy: "Max" }));
      await wants(world, 1);
      await running(world, 1);
      await world.settle("without a limit");
    },
  },
  {
    name: "up-held",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 2);
      await autoscale(world, behaviour({ stabilizationWindowSeconds: 3600 }));
      await wants(world, 2);
      uses("100m");
      await tells(world, "ScaleUpStabilized");
      await world.settle("held");
      await change(world, behaviour());
      await wants(world, 4);
      await world.settle("let go");
    },
  },
  {
    name: "down-held",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 3);
      await autoscale(world, behaviour({}, { stabilizationWindowSeconds: 3600 }));
      await wants(world, 3);
      uses("10m");
      await tells(world, "ScaleDownStabilized");
      await world.settle("held");
      await change(world, behaviour());
      await wants(world, 1);
      await running(world, 1);
      await world.settle("let go");
    },
  },
  {
    name: "usual-behaviour",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 3);
      // What is not said of it is as usual: four pods or twice as many up, and the window of the cluster down.
      await autoscale(world, {
        maxReplicas: 50,
        behavior: { scaleDown: { policies: [policy("Pods", 1, 2)] } },
      });
      await wants(world, 3);
      await world.settle("at the target");
      uses("120m");
      await wants(world, 7);
      await world.settle("four more");
      uses("50m");
      await running(world, 7);
      uses("5m");
      await wants(world, 1);
      await running(world, 1);
      await world.settle("one by one when the window is over");
    },
  },
  {
    name: "bounds",
    async play(world) {
      const uses = (cpu: string): void => metrics.serve(world.namespace, usageOfPods(world, eachUses(cpu)));
      uses("50m");
      await deploy(world, 3);
      await autoscale(world, behaviour());
      await wants(world, 3);
      await change(world, { minReplicas: 4 });
      await wants(world, 4);
      await running(world, 4);
      await world.settle("more than there were");
      await change(world, { minReplicas: 1, maxReplicas: 2 });
      await wants(world, 2);
      await running(world, 2);
      await world.settle("fewer than there were");
      uses("1");
      await tells(world, "TooManyReplicas");
      await world.settle("no more than may be");
    },
  },
  {
    name: "paused",
    async play(world) {
      const queue = (length: string): void => metrics.serve(world.namespace, externalValues({ queue: [length] }));
      queue("20");
      await deploy(world, 2);
      const external = { metric: { name: "queue" }, target: averageOf("10") };
      await autoscale(world, { metrics: [{ type: "External", external }] });
      await wants(world, 2);
      await world.settle("at the target");
      await world.patch("Deployment", "web", { spec: { replicas: 0 } });
      await tells(world, "ScalingDisabled");
      await running(world, 0);
      await world.settle("paused");
      queue("10");
      // What was wanted before is out of the window by then.
      await Bun.sleep(15_000);
      await world.patch("Deployment", "web", { spec: { replicas: 1 } });
      await running(world, 1);
      await tells(world, "ValidMetricFound");
      await looks();
      await world.settle("goes on");
    },
  },
];
