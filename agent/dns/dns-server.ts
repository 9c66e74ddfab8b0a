import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { encode } from "dns-packet";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { udpTypeOf } from "#shared/net/ip-family.ts";
import { isGoneClient, sendDatagram } from "../send-datagram.ts";
import { type Answer, type TimedRecord, typeName, writeAnswer } from "./answer.ts";
import { authorityOf, type ClusterView, type ClusterZone, lookUp, type RecordData } from "./cluster-records.ts";
import { type DnsSettings, usualDnsSettings, zoneOf } from "./dns-settings.ts";
import { decoded, type Forwarder } from "./forwarder.ts";
import { fromHosts } from "./hosts.ts";
import { fitted, headOf, type Query, readQuery, responseCode } from "./message.ts";
import { capped } from "./record-times.ts";

export interface DnsServerOptions {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly domain: string;
  readonly view: ClusterView;
  readonly forwarder: Pick<Forwarder, "forward">;
  /** Read at each query. */
  readonly settings?: (() => DnsSettings) | undefined;
  readonly log: Log;
}

/** What every client takes, and the most that is sent in one datagram, whatever a client says. */
const plainUdp_bytes = 512;
const largestUdp_bytes = 4096;
const largestTcp_bytes = 65_535;
const mostUnread_bytes = 256 * 1024;
const mostTcpConnections = 100;
const tcpIdle_ms = 10_000;
const maxCnames = 10;
/** So long does a query wait, on a board that has just started, for it to be known what there is. */
const patience_ms = 2_500;
const mostWaiting = 500;
/** IXFR and AXFR: nobody copies the cluster's zone. */
const transfers: ReadonlySet<number> = new Set([251, 252]);

/** The board's DNS server: names of the cluster from the agent's caches, all others by the board's resolvers. */
export class DnsServer {
  private readonly udp: UdpSocket[] = [];
  private readonly tcp: Server[] = [];
  /** Oldest first. */
  private readonly tcpSockets = new Set<Socket>();
  private waiting = 0;
  /** Told once: who asks may ask again a thousand times a second. */
  private readonly trouble: StandingTrouble;

  constructor(private readonly options: DnsServerOptions) {
    this.trouble = new StandingTrouble(options.log, { wrong: "cannot answer" });
  }

  async start(): Promise<void> {
    for (const address of this.options.addresses) {
      await this.listenUdp(address);
      await this.listenTcp(address);
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.udp.splice(0)) socket.close();
    await Promise.all(this.tcp.splice(0).map((server) => new Promise((done) => server.close(done))));
  }

  /** The port in use: the one asked for, or the one given by the kernel for 0. */
  get port(): number {
    return this.udp[0]?.address().port ?? this.options.port;
  }

  private async listenUdp(address: string): Promise<void> {
    const socket = createSocket(udpTypeOf(address));
    socket.on("message", (message, from) => {
      void this.respond(message, "udp").then((answer) => {
        // Stopped while others were asked: nobody sends any more.
        const isOpen = this.udp.includes(socket);
        if (answer && isOpen) sendDatagram(socket, answer, from, (error) => this.options.log.warn("UDP", { error }));
      });
    });
    await new Promise<void>((done, fail) => {
      socket.once("error", fail);
      socket.bind(this.options.port, address, () => {
        socket.removeListener("error", fail);
        socket.on("error", (error) => {
          // Any client that loses patience causes it, and nothing is lost by it.
          if (!isGoneClient(error)) this.options.log.warn("UDP", { error });
        });
        done();
      });
    });
    this.udp.push(socket);
  }

  private async listenTcp(address: string): Promise<void> {
    const server = createServer((socket) => this.serveTcp(socket));
    await new Promise<void>((done, fail) => {
      server.once("error", fail);
      server.listen(this.port, address, () => done());
    });
    this.tcp.push(server);
  }

  private serveTcp(socket: Socket): void {
    let received = Buffer.alloc(0);
    // The oldest goes: pods that hold connections and say nothing must not keep others out.
    const [oldest] = this.tcpSockets;
    if (this.tcpSockets.size >= mostTcpConnections) oldest?.destroy();
    this.tcpSockets.add(socket);
    socket.once("close", () => this.tcpSockets.delete(socket));
    socket.setTimeout(tcpIdle_ms, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        const message = received.subarray(2, received.readUInt16BE(0) + 2);
        received = received.subarray(message.length + 2);
        void this.respond(message, "tcp").then((answer) => {
          if (!answer || socket.destroyed) return;
          const length = Buffer.alloc(2);
          length.writeUInt16BE(answer.length);
          socket.write(Buffer.concat([length, answer]));
          // Whoever asks and does not read fills this server's memory.
          if (socket.writableLength > mostUnread_bytes) socket.destroy();
        });
      }
    });
  }

  /** undefined: nothing that deserves an answer. Never rejects: nobody would be there to hear of it. */
  private async respond(message: Buffer, transport: "udp" | "tcp"): Promise<Buffer | undefined> {
    const query = readQuery(message);
    if (!query) return undefined;
    if ("refused" in query) return headOf(message, query.refused);
    const limit_bytes = transport === "udp" ? udpLimit_bytes(query) : largestTcp_bytes;
    if (query.option && query.option.version > 0)
      return fitted(writeAnswer(query, { code: 0 }), query, limit_bytes, responseCode.badVersion >> 4);
    try {
      const answer = await this.resolve(query);
      return fitted(
        this.cappedByCache(answer instanceof Uint8Array ? answer : writeAnswer(query, answer), query),
        query,
        limit_bytes,
      );
    } catch (error) {
      this.trouble.tell(error, { name: query.name });
      return fitted(writeAnswer(query, { code: responseCode.serverFailure }), query, limit_bytes);
    }
  }

  private async resolve(query: Query): Promise<Answer | Buffer> {
    const { view } = this.options;
    const { name } = query;
    const type = typeName(query.type);
    if (!view.isUsable()) await this.untilUsable();
    const zone = this.zone();
    const own = lookUp(view, zone, name, type);
    if (own) {
      const timed = (record: RecordData): TimedRecord => ({ ttl: zone.ttl_s, ...record });
      // A board that has just started must not say that a name does not exist: clients would believe it for a while.
      if (!view.isUsable()) return { code: responseCode.serverFailure };
      if (transfers.has(query.type)) return { code: responseCode.refused };
      const records = type === "CNAME" ? own.records : await this.chase(own.records, type);
      return {
        code: own.exists ? responseCode.noError : responseCode.noSuchName,
        isAuthoritative: true,
        answers: spread(records).map(timed),
        authorities: records.length === 0 ? [timed(authorityOf(zone))] : [],
        additional: spread(own.additional).map(timed),
      };
    }
    const settings = zoneOf(this.settings(), name);
    const ofHosts = fromHosts(settings, name, type);
    if (ofHosts) return ofHosts;
    return (await this.options.forwarder.forward(query.message, settings)) ?? { code: responseCode.serverFailure };
  }

  /** Nobody keeps an answer for longer than the settings let this server keep one: a change is then seen by all. */
  private cappedByCache(answer: Buffer, { name }: Query): Buffer {
    const { longestLife_s } = zoneOf(this.settings(), name);
    return longestLife_s > 0 ? capped(answer, longestLife_s) : answer;
  }

  private zone(): ClusterZone {
    const { domain, addresses } = this.options;
    return { domain, addresses, ttl_s: this.settings().ttl_s };
  }

  /** A client that waits a moment is better off than one that is told that it failed. */
  private async untilUsable(): Promise<void> {
    if (this.waiting >= mostWaiting) return;
    this.waiting++;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patience_ms);
    await Promise.race([this.options.view.usable, late]).finally(() => {
      clearTimeout(timer);
      this.waiting--;
    });
  }

  private settings(): DnsSettings {
    return this.options.settings?.() ?? usualDnsSettings;
  }

  /**
   * ExternalName: clients expect the alias's own addresses beside the alias. An alias that leads nowhere in the cluster is
   * no answer; where it leads outside, others say what is there.
   */
  private async chase(records: readonly RecordData[], type: string): Promise<readonly RecordData[]> {
    const all = [...records];
    for (let hop = 0; hop < maxCnames; hop++) {
      const last = all.at(-1);
      if (last?.type !== "CNAME") return all;
      const target = last.data.toLowerCase();
      const own = lookUp(this.options.view, this.zone(), target, type);
      if (!own) return [...all, ...(await this.outside(target, type))];
      if (own.records.length === 0) return [];
      all.push(...own.records);
    }
    return [];
  }

  private async outside(name: string, type: string): Promise<readonly RecordData[]> {
    const settings = zoneOf(this.settings(), name);
    const ofHosts = fromHosts(settings, name, type);
    if (ofHosts) return ofHosts.answers ?? [];
    const query = encode({ type: "query", id: 0, flags: 0x100, questions: [{ type: type as "A", name }] });
    const forwarded = await this.options.forwarder.forward(query, settings);
    const answers = (forwarded && decoded(forwarded)?.answers) ?? [];
    return answers.filter(({ type }) => ["A", "AAAA", "CNAME"].includes(type)) as unknown as RecordData[];
  }
}

/** Addresses in another order each time: most clients take the first. */
function spread(records: readonly RecordData[]): readonly RecordData[] {
  const isAddress = ({ type }: RecordData): boolean => type === "A" || type === "AAAA";
  const addresses = records.filter(isAddress);
  for (let left = addresses.length; left > 1; left--) {
    const [chosen] = addresses.splice(Math.floor(Math.random() * left), 1);
    if (chosen) addresses.push(chosen);
  }
  return [...records.filter((record) => !isAddress(record)), ...addresses];
}

function udpLimit_bytes({ option }: Query): number {
  return Math.min(largestUdp_bytes, Math.max(plainUdp_bytes, option?.size_bytes ?? 0));
}
