/** What can be given out once: addresses and ports. Each pool knows what visible objects hold, and what is reserved for
 *  writes under way. */
import type { FamilyNetwork, IpFamily } from "#shared/config/networks.ts";
import { formatAddress, formatRange, parseAddress, parseRange } from "./validation/addresses.ts";

/** What one write has taken so far. */
export interface Reservations {
  /** `namespace/name` of the object it is for. */
  readonly owner: string;
  /** A dry run looks, but takes nothing. */
  readonly dryRun: boolean;
  readonly addresses: string[];
  readonly ports: string[];
}

/** Nothing is left to give. */
export class PoolFullError extends Error {
  override readonly name = "PoolFullError";
  constructor() {
    super("range is full");
  }
}
/** What was asked for is somebody's, or is not in the range. */
export class NotAvailableError extends Error {
  override readonly name = "NotAvailableError";
}

interface Holder {
  readonly owner: string;
  /** Monotonic time until which a reservation holds; absent for what a visible object has. */
  readonly until_ms?: number;
}

/** A write that has not become visible by then has failed. Longer than any request may take. */
const reservation_ms = 120_000;

abstract class Pool {
  readonly #holders = new Map<string, Holder>();
  readonly #byOwner = new Map<string, readonly string[]>();
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  protected abstract readonly size: number;
  /** How many places at the start are given only to who asks for them by name (KEP-3070, KEP-3668). */
  protected abstract readonly staticSize: number;
  protected abstract at(offset: number): string;
  protected abstract taken(): string;
  protected abstract ledger(held: Reservations): string[];

  /** Takes the place that was asked for. Throws NotAvailableError. */
  protected takeItem(item: string, held: Reservations): string {
    if (this.#isTaken(item, held)) throw new NotAvailableError(this.taken());
    this.#hold(item, held);
    return item;
  }

  /** Takes any place, from the dynamic part as long as there is one. Throws PoolFullError. */
  takeNext(held: Reservations): string {
    const parts = [
      [this.staticSize, this.size],
      [0, this.staticSize],
    ] as const;
    for (const [first, end] of parts) {
      const count = end - first;
      const start = Math.floor(this.#random() * count);
      for (let step = 0; step < count; step++) {
        const item = this.at(first + ((start + step) % count));
        if (this.#isTaken(item, held) || this.ledger(held).includes(item)) continue;
        this.#hold(item, held);
        return item;
      }
    }
    throw new PoolFullError();
  }

  /** An object is visible as it is now: what it holds is exactly this, and reservations for it are over. */
  settle(owner: string, items: readonly string[]): void {
    for (const item of this.#byOwner.get(owner) ?? []) {
      if (this.#holders.get(item)?.owner === owner) this.#holders.delete(item);
    }
    for (const item of items) this.#holders.set(item, { owner });
    if (items.length === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, [...items]);
  }

  /** Gives back what a write took that will not be. */
  release(held: Reservations): void {
    for (const item of this.ledger(held)) {
      const holder = this.#holders.get(item);
      if (holder?.owner === held.owner && holder.until_ms !== undefined) this.#holders.delete(item);
    }
    this.ledger(held).length = 0;
  }

  #isTaken(item: string, held: Reservations): boolean {
    const holder = this.#holders.get(item);
    if (holder === undefined) return false;
    // A second try of the same write may have what the first one reserved.
    if (holder.until_ms !== undefined) return holder.owner !== held.owner && holder.until_ms > performance.now();
    return true;
  }

  #hold(item: string, held: Reservations): void {
    this.ledger(held).push(item);
    if (held.dryRun) return;
    this.#holders.set(item, { owner: held.owner, until_ms: performance.now() + reservation_ms });
    const known = this.#byOwner.get(held.owner) ?? [];
    if (!known.includes(item)) this.#byOwner.set(held.owner, [...known, item]);
  }
}

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** Offsets stay exact as numbers, and no cluster has that many Services. */
const largestPool = 2 ** 48;

/** Cluster addresses of one family. The network's own address and, in IPv4, the broadcast address are never given. */
export class AddressPool extends Pool {
  protected readonly size: number;
  protected readonly staticSize: number;
  readonly #bits: 32 | 128;
  readonly #base: bigint;
  readonly #range: string;

  constructor(range: string, random?: () => number) {
    super(random);
    const parsed = parseRange(range);
    if (parsed === undefined || parsed.prefix > parsed.bits - 2) throw new Error(`not a usable range: ${range}`);
    const count = Math.min(2 ** (parsed.bits - parsed.prefix), largestPool);
    this.#bits = parsed.bits;
    this.#base = parsed.base;
    this.#range = formatRange(parsed);
    this.size = parsed.bits === 32 ? count - 2 : count - 1;
    this.staticSize = count <= 16 ? 0 : clamp(Math.floor(count / 16), 16, 256);
  }

  /** Takes the address that was asked for. Throws NotAvailableError. */
  take(address: string, held: Reservations): string {
    const parsed = parseAddress(address);
    const offset = parsed?.bits === this.#bits ? Number(parsed.value - this.#base) : -1;
    if (offset < 1 || offset > this.size) {
      throw new NotAvailableError(
        `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${this.#range}`,
      );
    }
    this.takeItem(this.at(offset - 1), held);
    return address;
  }

  protected at(offset: number): string {
    return formatAddress({ bits: this.#bits, value: this.#base + BigInt(offset + 1) });
  }
  protected taken(): string {
    return "provided IP is already allocated";
  }
  protected ledger(held: Reservations): string[] {
    return held.addresses;
  }
}

/** Cluster addresses of the families that a cluster has, the first one its default. */
export class FamilyPools {
  readonly families: readonly IpFamily[];
  readonly #pools: ReadonlyMap<IpFamily, AddressPool>;

  constructor(ranges: readonly FamilyNetwork[]) {
    this.families = ranges.map(({ family }) => family);
    this.#pools = new Map(ranges.map(({ family, cidr }) => [family, new AddressPool(cidr)]));
  }

  /** Takes the address that was asked for, or any for "". Throws NotAvailableError, PoolFullError. */
  take(family: IpFamily, wanted: string, held: Reservations): string {
    const pool = this.#pools.get(family);
    if (pool === undefined) throw new NotAvailableError(`${family} is not configured on this cluster`);
    return wanted === "" ? pool.takeNext(held) : pool.take(wanted, held);
  }

  settle(owner: string, addresses: readonly string[]): void {
    // One address has many spellings; pools know the canonical one.
    const known = addresses.flatMap((text) => parseAddress(text) ?? []).map(formatAddress);
    for (const [family, pool] of this.#pools) {
      const own = known.filter((address) => addressFamily(address) === family);
      pool.settle(owner, own);
    }
  }

  release(held: Reservations): void {
    for (const pool of this.#pools.values()) pool.release({ ...held, addresses: [...held.addresses] });
    held.addresses.length = 0;
  }
}

export const addressFamily = (address: string): IpFamily => (address.includes(":") ? "IPv6" : "IPv4");

/** Node ports. */
export class PortPool extends Pool {
  protected readonly size: number;
  protected readonly staticSize: number;
  readonly #first: number;

  constructor(first: number, last: number, random?: () => number) {
    super(random);
    this.#first = first;
    this.size = last - first + 1;
    this.staticSize = this.size <= 16 ? 0 : clamp(Math.floor(this.size / 32), 16, 128);
  }

  take(port: string, held: Reservations): string {
    const offset = Number(port) - this.#first;
    if (offset < 0 || offset >= this.size) {
      throw new NotAvailableError(
        `provided port is not in the valid range. The range of valid ports is ${this.#first}-${this.#first + this.size - 1}`,
      );
    }
    return this.takeItem(port, held);
  }

  protected at(offset: number): string {
    return String(this.#first + offset);
  }
  protected taken(): string {
    return "provided port is already allocated";
  }
  protected ledger(held: Reservations): string[] {
    return held.ports;
  }
}
