import { nodes } from "#shared/api/resources.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";

/** A range of IPv4 addresses cut into equal parts, one for each node. */
export class CidrPool {
  readonly #base: number;
  readonly #parts: number;
  readonly #partBits: number;

  /** `cidr` as `10.42.0.0/16`; `partBits` is the prefix of a part, such as 24. Throws RangeError for what does not fit. */
  constructor(cidr: string, partBits: number) {
    const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr);
    const numbers = (match ?? []).slice(1).map(Number);
    const [a = 0, b = 0, c = 0, d = 0, bits = 0] = numbers;
    if (!match || [a, b, c, d].some((byte) => byte > 255) || bits > partBits || partBits > 30)
      throw new RangeError(`${cidr} cannot be cut into ranges of /${partBits}`);
    const address = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    this.#base = bits === 0 ? 0 : (address & (~0 << (32 - bits))) >>> 0;
    this.#parts = 2 ** (partBits - bits);
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
    const address = this.#base + index * 2 ** (32 - this.#partBits);
    return `${[24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".")}/${this.#partBits}`;
  }
}

/** Gives every node its range of pod addresses, for good. */
export function nodeIpamController(clusterCidr = "10.42.0.0/16", partBits = 24): ControllerDefinition {
  const pool = new CidrPool(clusterCidr, partBits);
  /** Given and perhaps not yet seen in the cache, by node. */
  const given = new Map<string, string>();
  return defineController({
    name: "node-ipam-controller",
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
        ...given.values(),
        ...lister(nodes)
          .list()
          .flatMap(({ spec }) => spec?.podCIDR ?? []),
      ]);
      const cidr = given.get(key) ?? pool.free(taken);
      if (!cidr) {
        const message = `Node ${key} status is now: CIDRNotAvailable`;
        events.record(node, { type: "Normal", reason: "CIDRNotAvailable", message });
        throw new Error(`no pod addresses are left for ${key} in ${clusterCidr}`);
      }
      given.set(key, cidr);
      const body = { metadata: { uid: node.metadata.uid }, spec: { podCIDR: cidr, podCIDRs: [cidr] } };
      await client.patch(nodes, { name: key }, { type: "strategic", body });
    },
  });
}
