/** What controllers make of what people do is what upstream's kube-controller-manager v1.35.4 made of it (recorded by
 *  record.ts), but for differences.ts. */
import { startOwn } from "./ours.ts";
import { replayScenarios } from "./replay.ts";
import { scenarios } from "./scenarios.ts";

replayScenarios(scenarios, import.meta.dir, startOwn);
