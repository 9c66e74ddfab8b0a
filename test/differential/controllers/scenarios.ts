import { cronJobScenarios } from "./cronjob-scenarios.ts";
import { daemonSetScenarios } from "./daemonset-scenarios.ts";
import { deploymentScenarios } from "./deployment-scenarios.ts";
import { jobLimitScenarios } from "./job-limit-scenarios.ts";
import { jobScenarios } from "./job-scenarios.ts";
import { scalingScenarios } from "./scaling-scenarios.ts";
import { serviceScenarios } from "./service-scenarios.ts";
import { setScenarios } from "./set-scenarios.ts";
import { statefulSetScenarios } from "./statefulset-scenarios.ts";
import { upkeepScenarios } from "./upkeep-scenarios.ts";
import type { Scenario } from "./world.ts";

/** Those that wait longest go first. */
export const scenarios: readonly Scenario[] = [
  ...cronJobScenarios,
  ...scalingScenarios,
  ...deploymentScenarios,
  ...jobScenarios,
  ...jobLimitScenarios,
  ...statefulSetScenarios,
  ...daemonSetScenarios,
  ...setScenarios,
  ...serviceScenarios,
  ...upkeepScenarios,
];
