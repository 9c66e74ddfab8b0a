import type { MasterSettings } from "#shared/config/settings.ts";

/** What boards are told of the cluster when they join. */
export function clusterSettings(settings: MasterSettings): Record<string, string> {
  const { clusterCidr, serviceCidr, clusterDns, clusterDomain, mqttPort, asPods } = settings;
  return {
    clusterCidr,
    serviceCidr,
    clusterDns,
    clusterDomain,
    mqttPort: String(mqttPort),
    ...(asPods ? { asPods: "true" } : {}),
  };
}
