import type { Scenario } from "../controllers/world.ts";
import { metricScenarios } from "./metric-scenarios.ts";
import type { MetricsStandIn } from "./metrics-stand-in.ts";
import { paceScenarios } from "./pace-scenarios.ts";
import { targetScenarios } from "./target-scenarios.ts";

/** Those that wait longest go first. */
export const autoscalingScenarios = (metrics: MetricsStandIn): readonly Scenario[] => [
  ...paceScenarios(metrics),
  ...metricScenarios(metrics),
  ...targetScenarios(metrics),
];
