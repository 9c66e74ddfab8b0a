import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { isIpv6 } from "#shared/net/ip-family.ts";
import { defaultCniConfigDirectory } from "./cni-network.ts";

export interface DefaultCniConfig {
  /** The board's pod CIDRs, one or one of each family. */
  readonly podCIDRs: readonly string[];
  /** Set where pods' packets travel in a tunnel; else the kernel's choice. */
  readonly mtu?: number | undefined;
  /** Where host-local keeps which address is taken; boards that share a file system each need their own. */
  readonly leaseDirectory?: string | undefined;
}

export const podBridgeName = "bramble0";
export const networkName = "bramble";
/** Last in name order, so that the file of any other plugin wins. */
const fileName = "99-bramble.conflist";
/** Leases live as long as the sandboxes they belong to: not beyond a boot, and not on a card. */
const defaultLeaseDirectory = "/run/bramble/ipam";

/**
 * Bramble's own pod network: a bridge with addresses out of the board's pod CIDRs, and host ports. `ipMasq` is off:
 * what leaves the cluster is masqueraded by one rule a board (forwarding.ts), not one a pod.
 */
export function renderDefaultCniConfig(config: DefaultCniConfig): string {
  const v6 = config.podCIDRs.some(isIpv6);
  const v4 = config.podCIDRs.some((cidr) => !isIpv6(cidr));
  const routes = [...(v4 ? [{ dst: "0.0.0.0/0" }] : []), ...(v6 ? [{ dst: "::/0" }] : [])];
  const list = {
    cniVersion: "1.0.0",
    name: networkName,
    plugins: [
      {
        type: "bridge",
        bridge: podBridgeName,
        isGateway: true,
        // The gateway's address follows when the board gets another pod CIDR.
        forceAddress: true,
        // A pod reaches itself through its own Service.
        hairpinMode: true,
        ipMasq: false,
        ...(config.mtu === undefined ? {} : { mtu: config.mtu }),
        ipam: {
          type: "host-local",
          dataDir: config.leaseDirectory ?? defaultLeaseDirectory,
          ranges: config.podCIDRs.map((subnet) => [{ subnet }]),
          routes,
        },
      },
      { type: "portmap", capabilities: { portMappings: true }, snat: true },
    ],
  };
  return `${JSON.stringify(list, null, 2)}\n`;
}

/** Writes the file when it is absent or differs. Resolves with whether it wrote. */
export async function writeDefaultCniConfig(
  config: DefaultCniConfig,
  directory: string = defaultCniConfigDirectory,
): Promise<boolean> {
  const path = join(directory, fileName);
  const text = renderDefaultCniConfig(config);
  if ((await readIfPresent(path)) === text) return false;
  await mkdir(directory, { recursive: true });
  await writeSecureFile(path, text, 0o644);
  return true;
}
