import { clusterWide } from "#shared/config/cluster-settings.ts";
import { dnsAddress } from "#shared/config/networks.ts";
import type { MasterSettings } from "#shared/config/settings.ts";

/** What boards are told of the cluster when they join. */
export function clusterSettings(settings: MasterSettings): Record<string, string> {
  const { mqttPort, asPods } = settings;
  return {
    ...Object.fromEntries(clusterWide.map((key) => [key, settings[key]])),
    clusterDns: dnsAddress(settings),
    mqttPort: String(mqttPort),
    ...(asPods ? { asPods: "true" } : {}),
  };
}
