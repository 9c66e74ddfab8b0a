/** How a master is found on the LAN: DNS-SD (RFC 6763) over multicast DNS (RFC 6762), as values. Nothing in it is secret, and
 *  nothing in it is believed: who asks proves a master by the hash in its token or by the CA that it trusts already. */

import { isIPv4, isIPv6 } from "node:net";
import { type Answer, decode, encode, type Packet, type StringAnswer } from "dns-packet";
import { hostPort } from "#shared/http/host-port.ts";
import { isIpv6 } from "#shared/net/ip-family.ts";
import { mdnsPort, serviceType } from "./service-type.ts";

const allTypes = "_services._dns-sd._udp.local";
/** How dns-packet shows class IN with the bit that asks for an answer to the asker alone. */
const unicastIn = "UNKNOWN_32769";

/** RFC 6762, section 10: records with a host's name; in answers to resolvers that do not cache by its rules, far less. */
const usual_s = 120;
const legacy_s = 10;

export interface Announcement {
  /** Tells masters apart for people: the host's name. */
  readonly host: string;
  /** Addresses by which who asks can reach the master, the best first. */
  readonly addresses: readonly string[];
  readonly httpsPort: number;
  /** SHA-256 of the cluster's CA certificates, hexadecimal; the first signs. */
  readonly caHashes: readonly string[];
  readonly version: string;
}

/** A master as somebody on the LAN describes one. */
export interface Candidate {
  /** `https://address:port` */
  readonly url: string;
  readonly host: string;
  readonly caHashes: readonly string[];
  readonly version: string;
}

export interface Asker {
  readonly address: string;
  readonly port: number;
}

export interface Reply {
  readonly packet: Uint8Array;
  /** To the one who asked alone. */
  readonly isUnicast: boolean;
}

/** A question for masters, to be sent from a port of its own: answers come back to that. */
export const question = (): Uint8Array =>
  encode({ type: "query", questions: [{ type: "PTR", name: serviceType, class: "IN" }] });

/** The answer to a message; undefined where it asks for something else, or knows already. Pure. */
export function answerTo(message: Uint8Array, asker: Asker, own: Announcement): Reply | undefined {
  const [address] = own.addresses;
  const query = decoded(message);
  if (address === undefined || query?.type !== "query") return undefined;
  // The address makes the names this master's alone, so that they need no probing.
  const suffix = address.replace(/[.:]/g, "-");
  const instance = `${own.host} ${suffix}.${serviceType}`;
  const target = `bramble-${suffix}.local`;
  const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
  const asked = (query.questions ?? []).filter(({ name }) =>
    [serviceType, allTypes, instance, target].some((ours) => same(ours, name)),
  );
  const isKnown = (query.answers ?? []).some(
    (answer) => answer.type === "PTR" && same(answer.data, instance) && (answer.ttl ?? 0) >= usual_s / 2,
  );
  if (asked.length === 0 || (isKnown && asked.every(({ name }) => same(name, serviceType)))) return undefined;

  const isLegacy = asker.port !== mdnsPort;
  const ttl = isLegacy ? legacy_s : usual_s;
  // Resolvers that know nothing of multicast would misread the bit.
  const flush = !isLegacy;
  const types = { name: allTypes, type: "PTR", ttl, data: serviceType } as const;
  const pointer = { name: serviceType, type: "PTR", ttl, data: instance } as const;
  const text = [`txtvers=1`, `version=${own.version}`, ...own.caHashes.slice(0, 4).map((hash) => `ca=${hash}`)];
  const packet: Packet = {
    type: "response",
    id: isLegacy ? (query.id ?? 0) : 0,
    flags: 1 << 10, // authoritative
    questions: isLegacy ? asked.map(({ name, type }) => ({ name, type, class: "IN" as const })) : [],
    answers: asked.some(({ name }) => same(name, allTypes)) ? [types] : [pointer],
    additionals: [
      {
        name: instance,
        type: "SRV",
        ttl,
        flush,
        data: { port: own.httpsPort, target, priority: 0, weight: 0 },
      },
      { name: instance, type: "TXT", ttl, flush, data: text },
      ...own.addresses.map((data) => ({ name: target, type: isIpv6(data) ? "AAAA" : "A", ttl, flush, data }) as const),
    ],
  };
  const wantsUnicast = asked.every((each) => String(each.class) === unicastIn);
  return { packet: encode(packet), isUnicast: isLegacy || wantsUnicast };
}

/** The masters that an answer describes: an address of each, all of them. Empty for anything else. Pure. */
export function candidatesIn(message: Uint8Array): Candidate[] {
  const answer = decoded(message);
  if (answer?.type !== "response") return [];
  const records = [...(answer.answers ?? []), ...(answer.additionals ?? [])];
  return records.flatMap((record) => {
    if (record.type !== "SRV" || !record.name.toLowerCase().endsWith(`.${serviceType}`)) return [];
    const { target, port: httpsPort } = record.data;
    const texts = records.flatMap((each) =>
      each.type === "TXT" && each.name === record.name ? textsOf(each.data) : [],
    );
    const values = (key: string): string[] =>
      texts.filter((text) => text.startsWith(`${key}=`)).map((text) => text.slice(key.length + 1));
    return records.flatMap((each) =>
      isAddress(each) && each.name === target && httpsPort > 0
        ? [
            {
              url: `https://${hostPort(each.data, httpsPort)}`,
              host: printable(record.name.slice(0, -serviceType.length - 1)),
              caHashes: values("ca"),
              version: printable(values("version")[0] ?? ""),
            },
          ]
        : [],
    );
  });
}

/** One that is of a link alone is no address for a URL. */
const isAddress = (record: Answer): record is StringAnswer & { readonly type: "A" | "AAAA" } =>
  (record.type === "A" && isIPv4(record.data)) ||
  (record.type === "AAAA" && isIPv6(record.data) && !/^fe[89ab]|%/i.test(record.data));

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?").slice(0, 80);

const textsOf = (data: string | Buffer | readonly (string | Buffer)[]): string[] =>
  (typeof data === "string" || Buffer.isBuffer(data) ? [data] : data).map(String);

function decoded(message: Uint8Array): Packet | undefined {
  try {
    return decode(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
  } catch {
    // Anybody on the LAN may send anything.
    return undefined;
  }
}
