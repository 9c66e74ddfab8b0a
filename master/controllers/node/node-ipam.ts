import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { nodes } from "#shared/api/resources.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import { parseNetworks } from "#shared/config/networks.ts";
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

  /** The first part that nobody has, or undefined. */
  free(taken: ReadonlySet<string>): string | undefined {
    for (let index = 0; index < this.#parts; index++) {
      const cidr = this.#at(index);
      if (!taken.has(cidr)) return cidr;
    }
    return undefined;
  }

  #at(index: number): string {
    const value = this.#base + (BigInt(index) << BigInt(this.#bits - this.#partBits));
    return `${formatAddress({ bits: this.#bits, value })}/${this.#partBits}`;
  }
}

/** A node's part of a cluster's range, as upstream's --node-cidr-mask-size-ipv4 and -ipv6. */
const partBits: Readonly<Record<IpFamily, number>> = { IPv4: 24, IPv6: 64 };

/**
 * Gives every node its range of pod addresses of each family, for good: a node from before the cluster got its second
 * family keeps one until it joins anew, as the API forbids a change.
 * @param clusterCidr one network, or one of each family with a comma between
 */
export function nodeIpamController(clusterCidr = "10.42.0.0/16"): ControllerDefinition {
  const pools = parseNetworks("cluster-cidr", clusterCidr).map(
    ({ family, cidr }) => new CidrPool(cidr, partBits[family]),
  );
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
      const cidrs = given.get(key) ?? pools.flatMap((pool) => pool.free(taken) ?? []);
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
