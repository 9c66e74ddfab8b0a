import { readIfPresent } from "#shared/files/if-present.ts";
import { type DnsConfig, parseResolvConf } from "./pod-dns.ts";

/**
 * The board's resolver settings at this moment: DHCP may bring others, or the first ones after the kubelet has started. A board that
 * has no such file knows no servers, and runs its pods all the same.
 */
export async function readHostDns(path = "/etc/resolv.conf"): Promise<DnsConfig> {
  return parseResolvConf((await readIfPresent(path)) ?? "");
}
