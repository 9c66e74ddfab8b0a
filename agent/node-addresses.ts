import { addressesIn, boardAddresses, unfitForOthers } from "#shared/board/addresses.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { ConfigError } from "#shared/config/option.ts";
import { type IpFamily, isIpv6 } from "#shared/net/ip-family.ts";

/** These name a family's main address, whatever it is, as they do for upstream's kubelet. */
const unspecified = new Set(["0.0.0.0", "::"]);

/**
 * Gives the addresses that the board has now, the main one first: those of `nodeIp` (with commas between them) where it has
 * them. One that it does not have, perhaps not yet, or by which nobody else would reach it, is told of once; the board goes by the
 * others meanwhile. Throws ConfigError for more than one of a family.
 */
export function nodeAddresses(
  { nodeIp, family, log }: { readonly nodeIp: string; readonly family: IpFamily; readonly log: Log },
  look: typeof boardAddresses = boardAddresses,
): () => readonly string[] {
  const named = namedIn(nodeIp);
  const preferred = named.filter((address) => unfitForOthers(address) === undefined).join(",");
  // As upstream's kubelet says it.
  const trouble = new StandingTrouble(log, {
    wrong: "failed to validate nodeIP",
    over: "the board has the address that node-ip names",
  });
  return () => {
    const addresses = look({ preferred, family });
    const faults = named.flatMap((address) => faultOf(address, addresses) ?? []);
    const fields = { addresses: addresses.join(",") };
    if (faults.length === 0) trouble.end(fields);
    for (const fault of faults) trouble.tell(new Error(fault), fields);
    return addresses;
  };
}

/** The addresses in a `node-ip` that are to come first. Throws ConfigError for what upstream's kubelet does not take. */
export function namedIn(nodeIp: string): string[] {
  const all = addressesIn(nodeIp);
  const refuse = (why: string): never => {
    throw new ConfigError(`bad --node-ip "${nodeIp}": ${why}`);
  };
  if (all.length > 2 || (all.length === 2 && all.every(isIpv6) === all.some(isIpv6)))
    refuse("must contain either a single IP or a dual-stack pair of IPs");
  if (all.length === 2 && all.some((address) => unspecified.has(address)))
    refuse("dual-stack node IP cannot include '0.0.0.0' or '::'");
  return all.filter((address) => !unspecified.has(address));
}

const faultOf = (address: string, present: readonly string[]): string | undefined =>
  unfitForOthers(address) ??
  (present.includes(address) ? undefined : `node IP: "${address}" not found in the host's network interfaces`);
