/** What can be given out once: addresses and ports. Each pool knows what visible objects hold, and what is reserved for
 *  writes under way. */

import type { FamilyNetwork } from "#shared/config/networks.ts";
import { familyOf, type IpFamily } from "#shared/net/ip-family.ts";
import {
  type Address,
  type AddressRange,
  formatAddress,
  formatRange,
  isInRange,
  parseAddress,
  parseRange,
} from "./validation/addresses.ts";

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

/** Places that are given before those of the next band. */
interface Band {
  readonly count: number;
  readonly at: (offset: number) => string;
}

abstract class Pool {
  readonly #holders = new Map<string, Holder>();
  readonly #byOwner = new Map<string, readonly string[]>();
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** What is there to give; last what is for those who ask by name, as long as there is anything else (KEP-3070, KEP-3668). */
  protected abstract bands(): readonly Band[];
  protected abstract taken(): string;
  /** Somebody has it who is no owner here. */
  protected abstract isForeign(item: string): boolean;
  protected abstract ledger(held: Reservations): string[];

  /** Takes the place that was asked for. Throws NotAvailableError. */
  protected takeItem(item: string, held: Reservations): string {
    if (this.#isTaken(item, held)) throw new NotAvailableError(this.taken());
    this.#hold(item, held);
    return item;
  }

  /** Takes any place of the first band that has one. Throws PoolFullError. */
  takeNext(held: Reservations): string {
    for (const { count, at } of this.bands()) {
      const start = Math.floor(this.#random() * count);
      for (let step = 0; step < count; step++) {
        const item = at((start + step) % count);
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
    if (this.isForeign(item)) return true;
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

const band = (first: number, end: number, at: (offset: number) => string): Band => ({
  count: end - first,
  at: (offset) => at(first + offset),
});

/** The network's own address and, in IPv4, the broadcast address are never given. */
class ServiceRange {
  readonly #size: number;
  readonly #staticSize: number;

  constructor(private readonly range: AddressRange) {
    const count = Math.min(2 ** (range.bits - range.prefix), largestPool);
    this.#size = range.bits === 32 ? count - 2 : count - 1;
    this.#staticSize = count <= 16 ? 0 : clamp(Math.floor(count / 16), 16, 256);
  }

  get text(): string {
    return formatRange(this.range);
  }
  get dynamicBand(): Band {
    return band(this.#staticSize, this.#size, (offset) => this.#at(offset));
  }
  get staticBand(): Band {
    return band(0, this.#staticSize, (offset) => this.#at(offset));
  }

  contains(address: Address): boolean {
    return isInRange(address, this.range);
  }

  /** Whether an address that is contained may be asked for: anywhere in the range, also where none is given unasked. */
  gives({ value }: Address): boolean {
    const { base, bits, prefix } = this.range;
    const offset = value - base;
    const last = (1n << BigInt(bits - prefix)) - 1n;
    return offset >= 1n && (bits === 128 || offset < last);
  }

  #at(offset: number): string {
    return formatAddress({ bits: this.range.bits, value: this.range.base + BigInt(offset + 1) });
  }
}

/** An IPv6 range may be no larger, as upstream has it. */
const shortestPrefix = { 32: 0, 128: 64 } as const;

function serviceRange(text: string): ServiceRange | undefined {
  const range = parseRange(text);
  const isUsable = range && range.prefix <= range.bits - 2 && range.prefix >= shortestPrefix[range.bits];
  return isUsable ? new ServiceRange(range) : undefined;
}

/** Cluster addresses of one family, out of ranges that may overlap. */
export class AddressPool extends Pool {
  #ranges: readonly ServiceRange[] = [];
  /** Canonical addresses that IPAddress objects keep for other things than Services. */
  readonly #foreign = new Set<string>();

  constructor(ranges: readonly string[], random?: () => number) {
    super(random);
    this.setRanges(ranges);
  }

  /** From now on addresses come from these; what is held stays held. Ranges too small or too large give none. */
  setRanges(ranges: readonly string[]): void {
    this.#ranges = ranges.flatMap((text) => serviceRange(text) ?? []);
  }

  keepFromServices(address: string): void {
    this.#foreign.add(address);
  }
  leaveToServices(address: string): void {
    this.#foreign.delete(address);
  }

  /** Takes the address that was asked for. Throws NotAvailableError. */
  take(address: string, held: Reservations): string {
    const parsed = parseAddress(address);
    const around = parsed ? this.#ranges.filter((range) => range.contains(parsed)) : [];
    if (parsed === undefined || around[0] === undefined) {
      throw new NotAvailableError("the provided network does not match the current range");
    }
    if (!around.some((range) => range.gives(parsed))) {
      throw new NotAvailableError(
        `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${around[0].text}`,
      );
    }
    this.takeItem(formatAddress(parsed), held);
    return address;
  }

  protected bands(): Band[] {
    return [...this.#ranges.map(({ dynamicBand }) => dynamicBand), ...this.#ranges.map(({ staticBand }) => staticBand)];
  }
  protected taken(): string {
    return "provided IP is already allocated";
  }
  protected isForeign(item: string): boolean {
    return this.#foreign.has(item);
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
    this.#pools = new Map(ranges.map(({ family, cidr }) => [family, new AddressPool([cidr])]));
  }

  /** Ranges of any family; those of a family that the cluster has not give nothing. */
  setRanges(cidrs: readonly string[]): void {
    for (const [family, pool] of this.#pools) pool.setRanges(cidrs.filter((cidr) => familyOf(cidr) === family));
  }

  /** An address that is in use outside of Services, or no longer. */
  setForeign(address: string, use: "in use" | "free"): void {
    const pool = this.#pools.get(familyOf(address));
    if (use === "in use") pool?.keepFromServices(address);
    else pool?.leaveToServices(address);
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
      const own = known.filter((address) => familyOf(address) === family);
      pool.settle(owner, own);
    }
  }

  release(held: Reservations): void {
    for (const pool of this.#pools.values()) pool.release({ ...held, addresses: [...held.addresses] });
    held.addresses.length = 0;
  }
}

/** Node ports. */
export class PortPool extends Pool {
  readonly #size: number;
  readonly #staticSize: number;
  readonly #first: number;

  constructor(first: number, last: number, random?: () => number) {
    super(random);
    this.#first = first;
    this.#size = last - first + 1;
    this.#staticSize = this.#size <= 16 ? 0 : clamp(Math.floor(this.#size / 32), 16, 128);
  }

  take(port: string, held: Reservations): string {
    const offset = Number(port) - this.#first;
    if (offset < 0 || offset >= this.#size) {
      throw new NotAvailableError(
        `provided port is not in the valid range. The range of valid ports is ${this.#first}-${this.#first + this.#size - 1}`,
      );
    }
    return this.takeItem(port, held);
  }

  protected bands(): Band[] {
    const at = (offset: number): string => String(this.#first + offset);
    return [band(this.#staticSize, this.#size, at), band(0, this.#staticSize, at)];
  }
  protected isForeign(): boolean {
    return false;
  }
  protected taken(): string {
    return "provided port is already allocated";
  }
  protected ledger(held: Reservations): string[] {
    return held.ports;
  }
}
