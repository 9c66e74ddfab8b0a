import { kindScenarios } from "./kind-scenarios.ts";
import { compactionScenarios, listScenarios } from "./list-scenarios.ts";
import type { Scenario } from "./scenario.ts";
import { selectionScenarios } from "./selection-scenarios.ts";

/** In the order in which they are played. */
export const scenarios: readonly Scenario[] = [
  ...kindScenarios,
  ...selectionScenarios,
  ...listScenarios,
  ...compactionScenarios,
];
