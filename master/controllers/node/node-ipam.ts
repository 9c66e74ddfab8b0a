import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { nodes } from "#shared/api/resources.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import { parseNetworks } from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import { formatAddress, parseRange } from "../../apiserver/resources/validation/addresses.ts";
import { nodeReference } from "./node-reference.ts";

/** A range of addresses cut into equal parts, one for each node. */
export class CidrPool {
  readonly #bits: 32 | 128;
  readonly #base: bigint;
  readonly #parts: number;
  readonly #partBits: number;

  /** `cidr` as `10.42.0.0/16`; `partBits` is the prefix of a part, such as 24. Throws RangeError for what does not fit. */
  constructor(cidr: string, partBits: number) {
    const range = parseRange(cidr);
    if (range === undefined || range.prefix > partBits || partBits > range.bits - 2)
      throw new RangeError(`${cidr} cannot be cut into ranges of /${partBits}`);
    this.#bits = range.bits;
    this.#base = range.base;
    this.#parts = 2 ** (partBits - range.prefix);
    this.#partBits = partBits;
  }

  /** The first part that nobody has, and that has nothing in common with `reserved`, or undefined. */
  free(taken: ReadonlySet<string>, reserved: readonly string[] = []): string | undefined {
    for (let index = 0; index < this.#parts; index++) {
      const cidr = this.#at(index);
      if (!taken.has(cidr) && !reserved.some((other) => overlap(cidr, other))) return cidr;
    }
    return undefined;
  }

  #at(index: number): string {
    const value = this.#base + (BigInt(index) << BigInt(this.#bits - this.#partBits));
    return `${formatAddress({ bits: this.#bits, value })}/${this.#partBits}`;
  }
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [parseRange(one), parseRange(other)];
  if (a === undefined || b === undefined || a.bits !== b.bits) return false;
  const shift = BigInt(a.bits - Math.min(a.prefix, b.prefix));
  return a.base >> shift === b.base >> shift;
}

export interface NodeRangeSettings {
  readonly nodeCidrMaskSize?: number | undefined;
  readonly nodeCidrMaskSizeIpv4?: number | undefined;
  readonly nodeCidrMaskSizeIpv6?: number | undefined;
  /** Of Services: no node's. */
  readonly serviceClusterIpRange?: readonly string[] | undefined;
}

/** Throws ConfigError, worded as upstream. */
function partBitsOf(families: readonly IpFamily[], settings: NodeRangeSettings): Readonly<Record<IpFamily, number>> {
  const { nodeCidrMaskSize: one, nodeCidrMaskSizeIpv4: v4, nodeCidrMaskSizeIpv6: v6 } = settings;
  const refused = (message: string): never => {
    throw new ConfigError(message);
  };
  if (families.length > 1) {
    if (one) refused("usage of --node-cidr-mask-size is not allowed with dual-stack clusters");
    return { IPv4: v4 || usualPartBits.IPv4, IPv6: v6 || usualPartBits.IPv6 };
  }
  if (one && (v4 || v6))
    refused(
      "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 is not allowed if --node-cidr-mask-size is set. For dual-stack clusters please unset it and use IPFamily specific flags",
    );
  const isIPv6 = families.includes("IPv6");
  if (isIPv6 && v4) refused("usage of --node-cidr-mask-size-ipv4 is not allowed for a single-stack IPv6 cluster");
  if (!isIPv6 && v6) refused("usage of --node-cidr-mask-size-ipv6 is not allowed for a single-stack IPv4 cluster");
  return { IPv4: one || v4 || usualPartBits.IPv4, IPv6: one || v6 || usualPartBits.IPv6 };
}

/** A node's part of a cluster's range, as upstream's. */
const usualPartBits: Readonly<Record<IpFamily, number>> = { IPv4: 24, IPv6: 64 };

/**
 * Gives every node its range of pod addresses of each family, for good: a node from before the cluster got its second
 * family keeps one until it joins anew, as the API forbids a change.
 * @param clusterCidr one network, or one of each family with a comma between
 */
export function nodeIpamController(
  clusterCidr = "10.42.0.0/16",
  settings: NodeRangeSettings = {},
): ControllerDefinition {
  const networks = parseNetworks("cluster-cidr", clusterCidr);
  const partBits = partBitsOf(
    networks.map(({ family }) => family),
    settings,
  );
  const pools = networks.map(({ family, cidr }) => new CidrPool(cidr, partBits[family]));
  const { serviceClusterIpRange: reserved = [] } = settings;
  /** Given and perhaps not yet seen in the cache, by node. */
  const given = new Map<string, readonly string[]>();
  return defineController({
    name: "node-ipam-controller",
    eventSource: "cidrAllocator",
    serviceAccount: "node-controller",
    watches: [watching(nodes)],
    // One at a time, so that no range is given twice.
    concurrency: 1,
    resync_s: 600,
    async reconcile(key, { lister, client, events }) {
      const node = lister(nodes).get(key);
      if (!node) {
        given.delete(key);
        return;
      }
      if (node.spec?.podCIDR) return;
      const taken = new Set([
        ...[...given.values()].flat(),
        ...lister(nodes)
          .list()
          .flatMap(({ spec }) => spec?.podCIDRs ?? spec?.podCIDR ?? []),
      ]);
      const cidrs = given.get(key) ?? pools.flatMap((pool) => pool.free(taken, reserved) ?? []);
      const tell = (reason: string): void =>
        events.record(nodeReference(node), {
          type: "Normal",
          reason,
          message: `Node ${key} status is now: ${reason}`,
        });
      if (cidrs.length < pools.length) {
        tell("CIDRNotAvailable");
        throw new Error(`no pod addresses are left for ${key} in ${clusterCidr}`);
      }
      given.set(key, cidrs);
      const body = { metadata: { uid: node.metadata.uid }, spec: { podCIDR: cidrs[0], podCIDRs: [...cidrs] } };
      try {
        await client.patch(nodes, { name: key }, { type: "strategic", body });
      } catch (error) {
        if (!isConflict(error) && !isNotFound(error)) tell("CIDRAssignmentFailed");
        throw error;
      }
    },
  });
}
