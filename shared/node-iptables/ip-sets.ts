import { runProgram } from "./program.ts";

/** A set of addresses as the kernel holds it; the name that rules match by is the key under which it is kept. */
export interface IpSet {
  /** `hash:ip`: single addresses. `hash:net`: networks. `hash:ip,port`: an address with a port, `10.0.0.1,tcp:80`. `bitmap:port`: ports of
   *  whatever protocol and family, `80` or `80-90`. */
  readonly type: "hash:ip" | "hash:net" | "hash:ip,port" | "bitmap:port";
  readonly family: "IPv4" | "IPv6";
  /** As `ipset add` takes them, options included: `10.1.0.0/16 nomatch`. */
  readonly entries: ReadonlySet<string>;
}

/** By name, at most 31 characters. A name stands for one type and family for ever. */
export type IpSetMap = ReadonlyMap<string, IpSet>;

/** What the kernel is known to hold: undefined for a set of unknown content. */
export type KnownIpSets = ReadonlyMap<string, IpSet | undefined>;

/** Text for `ipset restore` on both sides of a change of rules: sets are there before rules name them, and go after. */
export interface IpSetChanges {
  readonly before: string;
  readonly after: string;
}

const largest = 65_536;

/** What turns `previous` into `next`. Sets of unknown content are filled aside and swapped in, so that rules never see
 *  one half full. Both texts are empty when nothing differs. */
export function renderSetChanges(previous: KnownIpSets, next: IpSetMap): IpSetChanges {
  const before = [...next].flatMap(([name, set]) => {
    const known = previous.get(name);
    if (known) return changedEntries(name, known, set);
    if (!previous.has(name)) return filled(name, set);
    const aside = `${name.slice(0, 28)}.n`;
    return [...filled(aside, set), `swap ${name} ${aside}`, `destroy ${aside}`];
  });
  const gone = [...previous.keys()].filter((name) => !next.has(name));
  return { before: text(before), after: text(gone.map((name) => `destroy ${name}`)) };
}

function filled(name: string, { type, family, entries }: IpSet): string[] {
  const inet = family === "IPv6" ? "inet6" : "inet";
  const how = type === "bitmap:port" ? "range 0-65535" : `family ${inet} hashsize 64 maxelem ${largest}`;
  return [`create ${name} ${type} ${how}`, `flush ${name}`, ...[...entries].map((entry) => `add ${name} ${entry}`)];
}

function changedEntries(name: string, known: IpSet, next: IpSet): string[] {
  if (known === next) return [];
  // An entry's options are no part of its identity: one that only changed those is taken out first.
  const gone = [...known.entries].filter((entry) => !next.entries.has(entry));
  const added = [...next.entries].filter((entry) => !known.entries.has(entry));
  return [
    ...gone.map((entry) => `del ${name} ${entry.split(" ")[0]}`),
    ...added.map((entry) => `add ${name} ${entry}`),
  ];
}

function text(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** Runs the system's `ipset`. All methods reject with IptablesError. */
export class IpSets {
  constructor(private readonly prefix: readonly string[] = []) {}

  /** Applies text as renderSetChanges makes it. What is there already, or gone already, is no error. */
  async restore(changes: string): Promise<void> {
    if (changes !== "") await runProgram(this.prefix, "ipset", ["-exist", "restore"], changes);
  }

  async names(): Promise<string[]> {
    return (await runProgram(this.prefix, "ipset", ["list", "-name"])).split("\n").filter((name) => name !== "");
  }

  async destroy(names: readonly string[]): Promise<void> {
    await this.restore(text(names.map((name) => `destroy ${name}`)));
  }
}
