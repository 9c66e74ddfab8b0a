import type { HealthCheck } from "#shared/http/health-page.ts";
import { HealthResults } from "#shared/http/health-results.ts";
import type { ContainerRuntime } from "../../runtime/runtime.ts";

/** Of this process's kubelet, at whichever of its ports somebody asks. */
export const kubeletHealth = new HealthResults();

/** As upstream's kubelet names them. */
export const kubeletChecks = (runtime: ContainerRuntime): Readonly<Record<string, HealthCheck>> => ({
  ping: () => Promise.resolve(),
  log: () => Promise.resolve(),
  syncloop: () => runtime.version(),
});
