/**
 * Plays the scenarios to upstream's control plane and writes what its controllers of endpoints do:
 *   UPSTREAM_ADMISSION=default UPSTREAM_CONTROLLERS=1 UPSTREAM_FLAGS=--service-cluster-ip-range=10.43.0.0/16,fd43::/108 \
 *     UPSTREAM_CONTROLLER_FLAGS="--kube-api-qps=400 --kube-api-burst=800" test/differential/upstream.sh DIR
 *   bun test/differential/endpoint-slices/record.ts DIR; test/differential/upstream.sh DIR stop
 * Names of scenarios after DIR record those alone.
 */
import { recordScenarios, upstreamClient } from "../controllers/record-scenarios.ts";
import { endpointSliceScenarios } from "./scenarios.ts";

const [folder = "", ...only] = process.argv.slice(2);
const failed = await recordScenarios(upstreamClient(folder), endpointSliceScenarios, import.meta.dir, only);
process.exit(failed.length > 0 ? 1 : 0);
