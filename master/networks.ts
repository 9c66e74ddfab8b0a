import { primaryFamily } from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";

/** Where a master listens: what is set, or all addresses; of IPv6 too where the cluster is of that family first. */
export const listenAddress = (settings: { readonly bindAddress: string; readonly clusterCidr: string }): string =>
  settings.bindAddress || (primaryFamily(settings) === "IPv6" ? "::" : "0.0.0.0");

/** `30000-32767`. Throws ConfigError. */
export function parsePortRange(text: string): { readonly first: number; readonly last: number } {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last) };
  if (last === undefined || range.first < 1 || range.last > 65_535 || range.first > range.last) {
    throw new ConfigError(`service-node-port-range: expected FIRST-LAST such as 30000-32767, got ${text}`);
  }
  return range;
}
