import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  TRUNCATED_RESPONSE,
} from "dns-packet";
import type { Log } from "#shared/client/log.ts";
import { type ClusterView, lookUp, type RecordData } from "./cluster-records.ts";
import { type DnsSettings, usualDnsSettings, type ZoneSettings, zoneOf } from "./dns-settings.ts";
import { decoded, type Forwarder } from "./forwarder.ts";
import { fitted, flagsOf, operationOf } from "./message.ts";

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

const plainUdp_bytes = 512;
const largestUdp_bytes = 1232;
const largestTcp_bytes = 65_535;
const mostUnread_bytes = 256 * 1024;
const RESPONSE = 0x8000;
const mostTcpConnections = 100;
const tcpIdle_ms = 10_000;
const maxCnames = 8;
/** So long does a query wait, on a board that has just started, for it to be known what there is. */
const patience_ms = 2_500;
const mostWaiting = 500;
const responseCode = { noError: 0, serverFailure: 2, noSuchName: 3, notImplemented: 4 } as const;

/** The board's DNS server: names of the cluster from the agent's caches, all others by the board's resolvers. */
export class DnsServer {
  private readonly udp: UdpSocket[] = [];
  private readonly tcp: Server[] = [];
  /** Oldest first. */
  private readonly tcpSockets = new Set<Socket>();
  private waiting = 0;

  constructor(private readonly options: DnsServerOptions) {}

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
    const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4" });
    socket.on("message", (message, from) => {
      void this.respond(message, "udp").then((answer) => {
        if (answer) socket.send(answer, from.port, from.address);
      });
    });
    await new Promise<void>((done, fail) => {
      socket.once("error", fail);
      socket.bind(this.options.port, address, () => {
        socket.removeListener("error", fail);
        socket.on("error", (error) => this.options.log.warn("UDP", { error }));
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
    const query = decoded(message);
    const question = query?.questions?.[0];
    if (query?.type !== "query" || !question) return undefined;
    const limit_bytes = transport === "udp" ? udpLimit_bytes(query) : largestTcp_bytes;
    try {
      if (query.questions?.length !== 1 || operationOf(message) !== 0)
        return encode(reply(query, responseCode.notImplemented, []));
      const answer = await this.resolve(query, message, question.name.toLowerCase(), question.type);
      return answer instanceof Uint8Array ? fitted(answer, limit_bytes) : fit(answer, limit_bytes);
    } catch (error) {
      this.options.log.warn("cannot answer", { name: question.name, error });
      return refusalOf(message);
    }
  }

  private async resolve(query: Packet, message: Buffer, name: string, type: string): Promise<Packet | Buffer> {
    const { view, domain } = this.options;
    if (!view.isUsable()) await this.untilUsable();
    const own = lookUp(view, domain, name, type);
    const { ttl_s } = this.settings();
    if (own) {
      const withTtl = (record: RecordData): Answer => ({ ttl: ttl_s, ...record }) as Answer;
      // A board that has just started must not say that a name does not exist: clients would believe it for a while.
      if (!view.isUsable()) return reply(query, responseCode.serverFailure, []);
      const records = type === "CNAME" ? own.records : await this.chase(own.records, type);
      const answer = reply(query, own.exists ? responseCode.noError : responseCode.noSuchName, records.map(withTtl));
      answer.flags = (answer.flags ?? 0) | AUTHORITATIVE_ANSWER;
      answer.additionals = own.additional.map(withTtl);
      if (records.length === 0) answer.authorities = [authority(domain, ttl_s)];
      return answer;
    }
    const zone = zoneOf(this.settings(), name);
    const host = fromHosts(zone, name, type);
    if (host) return reply(query, host.exists ? responseCode.noError : responseCode.noSuchName, host.answers);
    return (await this.options.forwarder.forward(message, zone)) ?? reply(query, responseCode.serverFailure, []);
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

  /** ExternalName: clients expect the alias's own addresses beside the alias. */
  private async chase(records: readonly RecordData[], type: string): Promise<readonly RecordData[]> {
    const all = [...records];
    for (let hop = 0; hop < maxCnames; hop++) {
      const last = all.at(-1);
      if (last?.type !== "CNAME") return all;
      const { view, domain, forwarder } = this.options;
      const own = lookUp(view, domain, last.data.toLowerCase(), type);
      if (own) {
        if (own.records.length === 0) return all;
        all.push(...own.records);
        continue;
      }
      const query = encode({
        type: "query",
        id: 0,
        flags: 0x100,
        questions: [{ type: type as "A", name: last.data }],
      });
      const target = last.data.toLowerCase();
      const zone = zoneOf(this.settings(), target);
      const host = fromHosts(zone, target, type);
      const forwarded = host ? undefined : await forwarder.forward(query, zone);
      const answers = host?.answers ?? (forwarded && decoded(forwarded)?.answers) ?? [];
      return [...all, ...(answers as unknown as RecordData[])];
    }
    return all;
  }
}

function reply(query: Packet, code: number, answers: Answer[]): Packet {
  const recursionDesired = (query.flags ?? 0) & 0x100;
  return {
    type: "response",
    id: query.id ?? 0,
    flags: recursionDesired | RECURSION_AVAILABLE | code,
    questions: query.questions ?? [],
    answers,
  };
}

/** What the settings themselves know of a name; undefined: others are to be asked. */
function fromHosts(
  { hosts, hostsTtl_s, hostsAlone }: ZoneSettings,
  name: string,
  type: string,
): { readonly exists: boolean; readonly answers: Answer[] } | undefined {
  const addresses = hosts.get(name);
  if (!addresses) return hostsAlone && hosts.size > 0 ? { exists: false, answers: [] } : undefined;
  const answers = addresses.flatMap((address): Answer[] => {
    const own = address.includes(":") ? "AAAA" : "A";
    return type === own || type === "ANY" ? [{ type: own, name, ttl: hostsTtl_s, data: address }] : [];
  });
  return { exists: true, answers };
}

/** Negative answers carry it, so that clients know how long to believe them (RFC 2308). */
function authority(domain: string, ttl_s: number): Answer {
  return {
    type: "SOA",
    name: domain,
    ttl: ttl_s,
    data: {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: ttl_s,
    },
  };
}

/** That the server has failed, to a query that cannot be written anew. */
function refusalOf(message: Buffer): Buffer {
  const short = fitted(message, 0);
  short.writeUInt16BE(RESPONSE | RECURSION_AVAILABLE | (flagsOf(message) & 0x100) | responseCode.serverFailure, 2);
  return short;
}

function udpLimit_bytes(query: Packet): number {
  const option = (query.additionals ?? []).find((record) => record.type === "OPT") as
    | { udpPayloadSize?: number }
    | undefined;
  return Math.min(largestUdp_bytes, Math.max(plainUdp_bytes, option?.udpPayloadSize ?? 0));
}

/** Drops records until the packet fits, and says so: the client then asks by TCP. */
function fit(packet: Packet, limit_bytes: number): Buffer {
  const whole = encode(packet);
  if (whole.length <= limit_bytes) return whole;
  const withoutExtras = encode({ ...packet, additionals: [] });
  if (withoutExtras.length <= limit_bytes) return withoutExtras;
  return encode({ ...packet, answers: [], additionals: [], flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE });
}
