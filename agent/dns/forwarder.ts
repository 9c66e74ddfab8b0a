import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { decode, type Packet } from "dns-packet";
import type { Upstream, ZoneSettings } from "./dns-settings.ts";

const attempts = 3;
const timeout_ms = 2000;
const mostCached = 1000;
const mostInFlight = 200;

/** Asks other servers about names outside the cluster, the board's own resolvers unless told otherwise, with a small cache. */
export class Forwarder {
  private readonly cache = new Map<string, { readonly packet: Packet; readonly until_ms: number }>();
  private inFlight = 0;

  /** @param ownAddresses never asked: they are this server. */
  constructor(
    private readonly ownAddresses: ReadonlySet<string>,
    private readonly resolvConf = "/etc/resolv.conf",
  ) {}

  /** The upstream's answer, whatever it says; undefined when none answers. `query` is the client's packet as it came. */
  async forward(query: Buffer, cacheKey: string, zone: ForwardZone): Promise<Packet | undefined> {
    const known = this.cache.get(cacheKey);
    if (known && known.until_ms > performance.now()) return known.packet;
    if (this.inFlight >= mostInFlight) return undefined;
    this.inFlight++;
    try {
      const servers = zone.upstreams ?? this.boardResolvers();
      for (let attempt = 0; attempt < attempts; attempt++) {
        const server = servers[attempt % servers.length];
        const answer = server && (await ask(server, query));
        if (answer) {
          this.remember(cacheKey, answer, zone.longestLife_s * 1000);
          return answer;
        }
      }
      return undefined;
    } finally {
      this.inFlight--;
    }
  }

  /** Other settings: what was answered under the old ones says nothing. */
  forget(): void {
    this.cache.clear();
  }

  /** Read for each query that misses the cache: DHCP may change it at any time, and it is one small cached file. */
  private boardResolvers(): Upstream[] {
    let text: string;
    try {
      text = readFileSync(this.resolvConf, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
    const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "");
    return servers.filter((server) => !this.ownAddresses.has(server)).map((address) => ({ address, port: 53 }));
  }

  private remember(key: string, packet: Packet, longestLife_ms: number): void {
    const ttls = (packet.answers ?? []).flatMap((record) =>
      "ttl" in record && record.ttl !== undefined ? [record.ttl] : [],
    );
    const life_ms = Math.min(longestLife_ms, ttls.length > 0 ? Math.min(...ttls) * 1000 : 5000);
    if (life_ms <= 0) return;
    this.cache.delete(key);
    this.cache.set(key, { packet, until_ms: performance.now() + life_ms });
    const oldest = this.cache.keys().next().value;
    if (this.cache.size > mostCached && oldest !== undefined) this.cache.delete(oldest);
  }
}

/** Whom to ask, and how long an answer may be kept. */
export type ForwardZone = Pick<ZoneSettings, "upstreams" | "longestLife_s">;

async function ask(server: Upstream, query: Buffer): Promise<Packet | undefined> {
  const answer = await askByUdp(server, query);
  // TC: the whole answer comes by TCP only.
  return answer && ((answer.flags ?? 0) & 0x200) !== 0 ? ((await askByTcp(server, query)) ?? answer) : answer;
}

function askByUdp({ address, port }: Upstream, query: Buffer): Promise<Packet | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    const finish = (packet: Packet | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(packet);
    };
    const timer = setTimeout(finish, timeout_ms, undefined);
    socket.once("error", () => finish(undefined));
    socket.once("message", (message) => finish(decodeAnswer(message, query)));
    socket.send(query, port, address);
  });
}

function askByTcp({ address, port }: Upstream, query: Buffer): Promise<Packet | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    let received = Buffer.alloc(0);
    const finish = (packet: Packet | undefined): void => {
      socket.destroy();
      resolve(packet);
    };
    socket.setTimeout(timeout_ms, () => finish(undefined));
    socket.once("error", () => finish(undefined));
    socket.once("close", () => finish(undefined));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const length = received.length >= 2 ? received.readUInt16BE(0) : undefined;
      if (length !== undefined && received.length >= length + 2)
        finish(decodeAnswer(received.subarray(2, length + 2), query));
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}

/** undefined for what is not the answer to this query: somebody else's packet, or garbage. */
function decodeAnswer(message: Buffer, query: Buffer): Packet | undefined {
  if (message.length < 12 || message.readUInt16BE(0) !== query.readUInt16BE(0)) return undefined;
  try {
    return decode(message);
  } catch {
    return undefined;
  }
}
