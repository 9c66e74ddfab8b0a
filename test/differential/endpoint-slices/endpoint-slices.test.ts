/** EndpointSlices and Endpoints of very many pods, of two families and with hints are what upstream's kube-controller-manager v1.35.4
 *  made of the same (recorded by record.ts). */
import { startOwn } from "../controllers/ours.ts";
import { replayScenarios } from "../controllers/replay.ts";
import { endpointSliceScenarios } from "./scenarios.ts";

replayScenarios(endpointSliceScenarios, import.meta.dir, () => startOwn({ serviceCidr: "10.43.0.0/16,fd43::/108" }));
