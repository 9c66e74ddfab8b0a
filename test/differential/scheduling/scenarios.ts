import { affinityScenarios } from "./affinity-scenarios.ts";
import { binderScenarios } from "./binder-scenarios.ts";
import { clusterScenarios } from "./cluster-scenarios.ts";
import { deviceScenarios } from "./device-scenarios.ts";
import { filterScenarios } from "./filter-scenarios.ts";
import { furtherScenarios } from "./further-scenarios.ts";
import { nodeScenarios } from "./node-scenarios.ts";
import { preemptionScenarios } from "./preemption-scenarios.ts";
import type { Scenario } from "./scenario.ts";
import { volumeScenarios } from "./volume-scenarios.ts";

export const scenarios: readonly Scenario[] = [
  ...filterScenarios,
  ...affinityScenarios,
  ...preemptionScenarios,
  ...volumeScenarios,
  ...deviceScenarios,
  ...binderScenarios,
  ...nodeScenarios,
  ...clusterScenarios,
  ...furtherScenarios,
];
