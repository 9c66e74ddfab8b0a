import { isIP } from "node:net";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { CorefileError, type Directive, parseDirectives, parseServerBlocks } from "./corefile.ts";

/** A DNS server that is asked for names outside the cluster. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

/** What one zone, or everything that has no zone of its own, is answered by. */
export interface ZoneSettings {
  /** undefined: the board's own resolvers, by its /etc/resolv.conf. */
  readonly upstreams: readonly Upstream[] | undefined;
  /** Addresses by name, which go before everything else. */
  readonly hosts: ReadonlyMap<string, readonly string[]>;
  readonly hostsTtl_s: number;
  /** Names in the zone that `hosts` does not have are unknown, rather than asked for elsewhere. */
  readonly hostsAlone: boolean;
  /** Their addresses lead back to their names. */
  readonly hostsReverse: boolean;
  /** The longest that an answer is kept, here and by whoever asked; 0: not at all here, and elsewhere as long as it says. */
  readonly longestLife_s: number;
}

export interface DnsSettings {
  /** Seconds that clients may keep an answer about the cluster. */
  readonly ttl_s: number;
  /** By zone, without final dot. */
  readonly zones: ReadonlyMap<string, ZoneSettings>;
  readonly others: ZoneSettings;
}

const usualZone: ZoneSettings = {
  upstreams: undefined,
  hosts: new Map(),
  hostsTtl_s: 3600,
  hostsAlone: false,
  hostsReverse: true,
  longestLife_s: 30,
};

/** CoreDNS' figures: names of Services are short-lived, since they move. */
export const usualDnsSettings: DnsSettings = { ttl_s: 5, zones: new Map(), others: usualZone };

export interface ReadDnsSettings {
  readonly settings: DnsSettings;
  /** What could not be understood or is not there here; the rest holds. */
  readonly problems: readonly string[];
}

/** Many more entries than a person writes; beyond, the rest is left out. */
const mostHosts = 5000;
/** What CoreDNS does and here needs no word. */
const needless = new Set(["errors", "log", "loop", "reload", "loadbalance", "health", "ready", "prometheus", "bind"]);

/**
 * Reads the ConfigMap `coredns-custom`, as k3s has it: keys `*.override` hold directives for all names, keys `*.server`
 * server blocks for zones. Of CoreDNS' plugins there are `forward`, `hosts`, `cache`, and the `ttl` of `kubernetes`.
 */
export function readDnsSettings(configMap: Pick<ConfigMap, "data"> | undefined): ReadDnsSettings {
  const problems: string[] = [];
  const zones = new Map<string, ZoneSettings>();
  let others = usualZone;
  let ttl_s = usualDnsSettings.ttl_s;
  for (const [key, text] of Object.entries(configMap?.data ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const problem = (what: string): void => void problems.push(`${key}: ${what}`);
    const forAll = (directives: readonly Directive[]): void => {
      others = zoneSettings(others, directives, problem);
    };
    try {
      if (key.endsWith(".override")) {
        const directives = parseDirectives(text);
        forAll(directives);
        ttl_s = clusterTtl(directives) ?? ttl_s;
      }
      for (const [name, directives] of key.endsWith(".server") ? zoneBlocks(text) : []) {
        if (name === "") forAll(directives);
        else zones.set(name, zoneSettings(zones.get(name) ?? usualZone, directives, problem));
      }
    } catch (error) {
      if (!(error instanceof CorefileError)) throw error;
      problem(error.message);
    }
  }
  return { settings: { ttl_s, zones, others }, problems };
}

/** Each zone of the server blocks with what stands in its block; `""` is for all names. */
const zoneBlocks = (text: string): (readonly [zone: string, directives: readonly Directive[]])[] =>
  parseServerBlocks(text).flatMap(({ zones, directives }) => zones.map((zone) => [zone, directives] as const));

/** The settings for a name: those of the longest zone that it is in. */
export function zoneOf({ zones, others }: DnsSettings, name: string): ZoneSettings {
  for (let rest = name; rest !== ""; ) {
    const zone = zones.get(rest);
    if (zone) return zone;
    const dot = rest.indexOf(".");
    rest = dot === -1 ? "" : rest.slice(dot + 1);
  }
  return others;
}

type Problem = (what: string) => void;

function zoneSettings(before: ZoneSettings, directives: readonly Directive[], problem: Problem): ZoneSettings {
  return Object.assign({ ...before }, ...directives.map((directive) => changeBy(directive, problem)));
}

function changeBy(directive: Directive, problem: Problem): Partial<ZoneSettings> {
  const [plugin = "", ...words] = directive.words;
  switch (plugin) {
    case "forward":
      return forwardSettings(words, problem);
    case "hosts":
      return hostsSettings(directive, problem);
    case "cache":
      return cacheSettings(words, problem);
    case "kubernetes":
      return {};
    default:
      if (!needless.has(plugin)) problem(`"${plugin}" is not there in Bramble's DNS`);
      return {};
  }
}

/** `forward FROM TO…` */
function forwardSettings([from = "", ...to]: readonly string[], problem: Problem): Partial<ZoneSettings> {
  if (from === "" || to.length === 0) {
    problem("forward: expected FROM and TO");
    return {};
  }
  if (to.includes("/etc/resolv.conf")) return { upstreams: undefined };
  const upstreams = to.flatMap((word) => {
    const upstream = parseUpstream(word);
    if (!upstream) problem(`forward: "${word}" is no address of a DNS server`);
    return upstream ?? [];
  });
  return upstreams.length > 0 ? { upstreams } : {};
}

/** `10.0.0.1`, `10.0.0.1:5353`, `[fd00::1]:53`, `dns://…` */
function parseUpstream(word: string): Upstream | undefined {
  const plain = word.replace(/^dns:\/\//, "");
  const [, bracketed, single, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(plain) ?? [];
  const address = bracketed ?? single ?? plain;
  return isIP(address) === 0 ? undefined : { address, port: port === undefined ? 53 : Number(port) };
}

/** `hosts { ADDRESS NAME…; ttl N; fallthrough }`; further lines of the block are CoreDNS' tuning. */
function hostsSettings({ words, block }: Directive, problem: Problem): Partial<ZoneSettings> {
  // `hosts FILE` would be a file of the pod that CoreDNS runs in.
  if (words[1]?.startsWith("/")) problem(`hosts: no file is read (${words[1]})`);
  const hosts = new Map<string, string[]>();
  let [hostsTtl_s, hostsAlone, hostsReverse] = [usualZone.hostsTtl_s, true, true];
  for (const [first = "", ...rest] of block) {
    if (first === "ttl") hostsTtl_s = seconds(rest[0]) ?? hostsTtl_s;
    else if (first === "fallthrough") hostsAlone = false;
    else if (first === "no_reverse") hostsReverse = false;
    else if (isIP(first) !== 0) {
      for (const name of rest.map((each) => each.replace(/\.$/, "").toLowerCase())) {
        if (hosts.size < mostHosts) hosts.set(name, [...(hosts.get(name) ?? []), first]);
      }
    } else if (first !== "reload") problem(`hosts: "${first}" is no address`);
  }
  return { hosts, hostsTtl_s, hostsAlone, hostsReverse };
}

/** `cache [SECONDS]` */
function cacheSettings([life]: readonly string[], problem: Problem): Partial<ZoneSettings> {
  if (life === undefined) return {};
  const longestLife_s = seconds(life);
  if (longestLife_s === undefined) problem(`cache: "${life}" is no number of seconds`);
  return longestLife_s === undefined ? {} : { longestLife_s };
}

function clusterTtl(directives: readonly Directive[]): number | undefined {
  const lines = directives.filter(({ words }) => words[0] === "kubernetes").flatMap(({ block }) => block);
  return seconds(lines.find(([first]) => first === "ttl")?.[1]);
}

function seconds(word: string | undefined): number | undefined {
  return word !== undefined && /^\d{1,4}$/.test(word) && Number(word) <= 3600 ? Number(word) : undefined;
}
