import { clusterWide } from "#shared/config/cluster-settings.ts";
import { type AgentSettings, workerOptions } from "#shared/config/settings.ts";

/** A board's settings with the cluster's networks and names: its own flags first, then what its master said (pure). */
export function withClusterSettings(own: AgentSettings, told: Readonly<Record<string, string>>): AgentSettings {
  const unset = clusterWide.filter((key) => own[key] === workerOptions[key].fallback);
  return { ...own, ...Object.fromEntries(unset.flatMap((key) => (told[key] ? [[key, told[key]]] : []))) };
}
