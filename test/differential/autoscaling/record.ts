/**
 * Plays the scenarios to upstream's control plane and writes what its autoscalers do. The metrics APIs are a server of this program:
 *   UPSTREAM_ADMISSION=default UPSTREAM_CONTROLLERS=1 UPSTREAM_CONTROLLER_FLAGS="--horizontal-pod-autoscaler-sync-period=5s \
 *     --horizontal-pod-autoscaler-downscale-stabilization=12s" test/differential/upstream.sh DIR
 *   bun test/differential/autoscaling/record.ts DIR; test/differential/upstream.sh DIR stop
 * Names of scenarios after DIR record those alone; a server takes each of them once.
 */
import { recordScenarios, upstreamClient } from "../controllers/record-scenarios.ts";
import { MetricsStandIn } from "./metrics-stand-in.ts";
import { autoscalingScenarios } from "./scenarios.ts";

const [folder = "", ...only] = process.argv.slice(2);
const client = upstreamClient(folder);
const metrics = await MetricsStandIn.open();
await metrics.register(client);
const failed = await recordScenarios(client, autoscalingScenarios(metrics), import.meta.dir, only);
process.exit(failed.length > 0 ? 1 : 0);
