/**
 * Plays the scenarios to upstream's control plane and writes what its controllers do:
 *   UPSTREAM_ADMISSION=default UPSTREAM_CONTROLLERS=1 test/differential/upstream.sh DIR
 *   bun test/differential/controllers/record.ts DIR; test/differential/upstream.sh DIR stop
 * Names of scenarios after DIR record those alone.
 */
import { recordScenarios, upstreamClient } from "./record-scenarios.ts";
import { scenarios } from "./scenarios.ts";

const [folder = "", ...only] = process.argv.slice(2);
const failed = await recordScenarios(upstreamClient(folder), scenarios, import.meta.dir, only);
process.exit(failed.length > 0 ? 1 : 0);
