import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { decode, type Packet } from "dns-packet";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import { ifPresentSync } from "#shared/files/if-present.ts";
import { udpTypeOf } from "#shared/net/ip-family.ts";
import type { Upstream, ZoneSettings } from "./dns-settings.ts";
import { answers, cacheKeyOf, codeOf, isTruncated, readdressed, recordsOf, withId } from "./message.ts";
import { capped, lifeOf } from "./record-times.ts";

const attempts = 3;
const timeout_ms = 2000;
const mostCached = 1000;
/** A longer answer comes by TCP, and is rare: kept, a thousand of them would fill a board's memory. */
const longestCached_bytes = 4096;
const mostInFlight = 200;
const ids = 65_536;
/** For an answer that does not say how long it holds. */
const unsaidLife_s = 5;
/** Answers that are kept: that there is such a name, and that there is not. */
const lasting: ReadonlySet<number> = new Set([0, 3]);

/** Asks other servers about names outside the cluster, the board's own resolvers unless told otherwise, with a small cache. */
export class Forwarder {
  private cache = new BoundedMap<{ readonly answer: Buffer; readonly until_ms: number }>(mostCached);
  private inFlight = 0;

  /** @param ownAddresses never asked: they are this server. */
  constructor(
    private readonly ownAddresses: ReadonlySet<string>,
    private readonly resolvConf = "/etc/resolv.conf",
    private readonly now_ms: () => number = () => performance.now(),
  ) {}

  /**
   * The upstream's answer, whatever it says, as an answer to this query; undefined when none answers. It is asked by a number that only
   * this server knows: whoever asks could else answer himself, for all others too.
   * @param query the client's message as it came, with one question.
   */
  async forward(query: Buffer, zone: ForwardZone): Promise<Buffer | undefined> {
    const key = cacheKeyOf(query);
    if (key === undefined) return undefined;
    const known = this.cache.get(key);
    const left_ms = known ? known.until_ms - this.now_ms() : 0;
    // What has been kept for a while holds for that much less.
    if (known && left_ms > 0) return capped(readdressed(known.answer, query), Math.floor(left_ms / 1000));
    if (this.inFlight >= mostInFlight) return undefined;
    this.inFlight++;
    try {
      const servers = zone.upstreams ?? this.boardResolvers();
      for (let attempt = 0; attempt < attempts; attempt++) {
        const server = servers[attempt % servers.length];
        const answer = server && (await ask(server, withId(query, randomInt(ids))));
        if (answer) {
          this.remember(key, answer, zone.longestLife_s * 1000);
          return readdressed(answer, query);
        }
      }
      return undefined;
    } finally {
      this.inFlight--;
    }
  }

  /** Other settings: what was answered under the old ones says nothing. */
  forget(): void {
    this.cache = new BoundedMap(mostCached);
  }

  /** Read for each query that misses the cache: DHCP may change it at any time, and it is one small cached file. */
  private boardResolvers(): Upstream[] {
    const text = ifPresentSync(() => readFileSync(this.resolvConf, "utf8")) ?? "";
    const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "");
    return servers.filter((server) => !this.ownAddresses.has(server)).map((address) => ({ address, port: 53 }));
  }

  private remember(key: string, answer: Buffer, longestLife_ms: number): void {
    if (!lasting.has(codeOf(answer)) || answer.length > longestCached_bytes || !recordsOf(answer)) return;
    const life_ms = Math.min(longestLife_ms, (lifeOf(answer) ?? unsaidLife_s) * 1000);
    if (life_ms <= 0) return;
    this.cache.set(key, { answer, until_ms: this.now_ms() + life_ms });
  }
}

/** Whom to ask, and how long an answer may be kept. */
export type ForwardZone = Pick<ZoneSettings, "upstreams" | "longestLife_s">;

async function ask(server: Upstream, query: Buffer): Promise<Buffer | undefined> {
  const answer = await askByUdp(server, query);
  // The whole answer comes by TCP only.
  return answer && isTruncated(answer) ? ((await askByTcp(server, query)) ?? answer) : answer;
}

/** What is no answer to this query, somebody else's message or garbage, is as good as none. */
function askByUdp({ address, port }: Upstream, query: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(udpTypeOf(address));
    let isOver = false;
    const finish = (answer: Buffer | undefined): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(finish, timeout_ms, undefined);
    socket.on("error", () => finish(undefined));
    socket.on("message", (message) => {
      if (answers(message, query)) finish(message);
    });
    // Connected, it hears nobody else. Not by a callback, which would be called too where there is no way to the server.
    socket.once("connect", () => {
      if (!isOver) socket.send(query);
    });
    socket.connect(port, address);
  });
}

function askByTcp({ address, port }: Upstream, query: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    let received = Buffer.alloc(0);
    const finish = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    // For the whole of it: a server that sends a byte now and then would keep a place among those in flight for ever.
    const timer = setTimeout(finish, timeout_ms, undefined);
    socket.once("error", () => finish(undefined));
    socket.once("close", () => finish(undefined));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const length = received.length >= 2 ? received.readUInt16BE(0) : undefined;
      if (length === undefined || received.length < length + 2) return;
      const message = received.subarray(2, length + 2);
      finish(answers(message, query) ? message : undefined);
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}

/** undefined for what cannot be read: it may be passed on all the same. */
export function decoded(message: Buffer): Packet | undefined {
  try {
    return decode(message);
  } catch {
    return undefined;
  }
}
