import { addressesIn, boardAddresses } from "#shared/board/addresses.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import type { IpFamily } from "#shared/config/networks.ts";

/** These name a family's main address, whatever it is, as they do for upstream's kubelet. */
const unspecified = new Set(["0.0.0.0", "::"]);

/**
 * Gives the addresses that the board has now, the main one first: those of `nodeIp` (with commas between them) where it has
 * them. One that it does not have, perhaps not yet, is told of once; the board goes by the others meanwhile.
 */
export function nodeAddresses(
  { nodeIp, family, log }: { readonly nodeIp: string; readonly family: IpFamily; readonly log: Log },
  look: typeof boardAddresses = boardAddresses,
): () => readonly string[] {
  const named = addressesIn(nodeIp).filter((address) => !unspecified.has(address));
  // As upstream's kubelet says it.
  const trouble = new StandingTrouble(log, {
    wrong: "failed to validate nodeIP",
    over: "the board has the address that node-ip names",
  });
  return () => {
    const addresses = look({ preferred: nodeIp, family });
    const absent = named.filter((address) => !addresses.includes(address));
    if (absent.length === 0) trouble.end({ addresses: addresses.join(",") });
    for (const address of absent)
      trouble.tell(new Error(`node IP: "${address}" not found in the host's network interfaces`), {
        addresses: addresses.join(","),
      });
    return addresses;
  };
}
