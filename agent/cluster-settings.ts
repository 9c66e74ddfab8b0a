import { type AgentSettings, workerOptions } from "#shared/config/settings.ts";

/** What a cluster has one of, under the names by which a master tells boards when they join. */
const ofTheCluster = ["clusterCidr", "serviceCidr", "clusterDns", "clusterDomain"] as const;

/** A board's settings with the cluster's networks and names: its own flags first, then what its master said (pure). */
export function withClusterSettings(own: AgentSettings, told: Readonly<Record<string, string>>): AgentSettings {
  const unset = ofTheCluster.filter((key) => own[key] === workerOptions[key].fallback);
  return { ...own, ...Object.fromEntries(unset.flatMap((key) => (told[key] ? [[key, told[key]]] : []))) };
}
