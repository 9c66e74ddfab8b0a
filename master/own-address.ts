/** Where this master is reached, which DHCP may change while it runs. */

import { isIPv4, isIPv6 } from "node:net";
import { watchAddresses } from "#shared/board/address-watch.ts";
import { boardAddresses, unfitForOthers } from "#shared/board/addresses.ts";
import type { Log } from "#shared/client/log.ts";
import { primaryFamily } from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import type { Part } from "#shared/process/parts.ts";

type AddressSettings = Pick<MasterSettings, "advertiseAddress" | "nodeIp" | "clusterCidr">;
type Found = { readonly address: string | undefined; readonly all: readonly string[] };

/** Of this board now; what a person has set comes first. */
function lookUp({ advertiseAddress, nodeIp, clusterCidr }: AddressSettings): Found {
  const family = primaryFamily({ clusterCidr });
  const all = boardAddresses({ preferred: nodeIp, family });
  const ofOther = family === "IPv6" ? isIPv4 : isIPv6;
  return { address: advertiseAddress || all.find((address) => !ofOther(address)), all };
}

/** Throws ConfigError for a board without an address of the cluster's first family: the `kubernetes` Service has one. */
export function advertisedAddress(settings: AddressSettings, look: typeof lookUp = lookUp): string {
  const { address, all } = look(settings);
  const family = primaryFamily(settings);
  assertReachable(settings.advertiseAddress);
  if (address === undefined) throw new ConfigError(`this board has no ${family} address yet${adviceOn(family, all)}`);
  if (family === "IPv6" ? isIPv4(address) : isIPv6(address)) {
    throw new ConfigError(`advertise-address: expected an ${family} address as the cluster's first, got ${address}`);
  }
  return address;
}

const unspecified: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** No Service may lead to an address at which only this board reaches itself. */
function assertReachable(given: string): void {
  if (given !== "" && (unspecified.has(given) || unfitForOthers(given) !== undefined))
    throw new ConfigError(`advertise-address: expected an address at which other boards reach this one, got ${given}`);
}

/** What a person may do about a board without an address of the family. @param all those that it has. */
function adviceOn(family: IpFamily, all: readonly string[]): string {
  const connect = "connect it, or name one with --advertise-address";
  if (all.length === 0) return `: ${connect}`;
  const networks =
    family === "IPv4" ? "fd42::/56 --service-cidr fd43::/112" : "10.42.0.0/16 --service-cidr 10.43.0.0/16";
  return `, only ${all.join(", ")}: ${connect}; or, for a new cluster that goes by that, give --cluster-cidr ${networks}`;
}

/** Told when the board has other addresses than before; the one at which this master is reached may be the same. */
export type AddressUser = (now: string, before: string) => void | Promise<void>;

/** The address at which others reach this master, as it is at the moment. While the board has none, the last one counts. */
export class OwnAddress {
  readonly #users: AddressUser[] = [];
  #known: readonly string[];
  #current: string;
  #telling: Promise<void> = Promise.resolve();

  /** Throws ConfigError for a board without an address. */
  constructor(
    private readonly settings: AddressSettings,
    private readonly log: Log,
    private readonly look: (settings: AddressSettings) => Found = lookUp,
  ) {
    this.#current = advertisedAddress(settings, look);
    this.#known = look(settings).all;
  }

  get current(): string {
    return this.#current;
  }

  onChange(user: AddressUser): void {
    this.#users.push(user);
  }

  /** Follows the kernel's events. A kernel that sends none is told of once: then a restart finds a new address. */
  async follow(): Promise<Part> {
    try {
      return await watchAddresses(() => void this.changed(), this.log);
    } catch (error) {
      this.log.warn("a change of this board's address is noticed at the next start only", { error });
      return { stop: () => undefined };
    }
  }

  /** Looks, and resolves when all users have gone on with what is there now. One that fails keeps no other from it. */
  changed(): Promise<void> {
    this.#telling = this.#telling.then(() => this.#tell());
    return this.#telling;
  }

  async #tell(): Promise<void> {
    const { address, all } = this.look(this.settings);
    if (address === undefined || (address === this.#current && all.join() === this.#known.join())) return;
    const before = this.#current;
    this.#current = address;
    this.#known = all;
    this.log.info("this board's addresses have changed", { address, before, all: all.join(",") });
    for (const user of this.#users) {
      try {
        await user(address, before);
      } catch (error) {
        this.log.error("a part of this master goes on with the former address until it starts again", { error });
      }
    }
  }
}
