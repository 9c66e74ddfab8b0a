import { createServer, type Server, type TLSSocket } from "node:tls";
import { Aedes, type Client as MqttSession } from "aedes";
import { writeToStream } from "mqtt-packet";
import type { Log } from "#shared/client/log.ts";
import { ListeningClock } from "#shared/heartbeat/listening-clock.ts";
import {
  leaseDuration_s,
  nodeOfSessionTopic,
  nodeTopics,
  parseSessionMessage,
  sessionLimits,
  sessionTopic,
} from "#shared/heartbeat/messages.ts";
import { isDiscoveryTopicOf, isHomeAssistantStatus } from "#shared/heartbeat/telemetry.ts";
import { Connections, connectionLimits } from "#shared/http/connections.ts";
import { watchConnection } from "#shared/net/connection-watch.ts";
import { listenAt } from "#shared/net/listen.ts";
import { peerSubject } from "#shared/pki/peer-subject.ts";
import type { NodeLeases } from "./node-leases.ts";
import { PacketLengths } from "./packet-lengths.ts";
import { ReaderSessions } from "./reader-sessions.ts";
import type { ReaderReview } from "./readers.ts";

export interface BrokerOptions {
  readonly host: string;
  readonly port: number;
  /** PEM; read anew by `reload`. */
  readonly credentials: () => { readonly ca: string; readonly cert: string; readonly key: string };
  readonly leases: Pick<NodeLeases, "take" | "renew">;
  /** Who may listen without being a board. */
  readonly reviewReader: ReaderReview;
  readonly log: Log;
}

// Prepared packets of all 65,536 numbers, 10 MB, pay for none of the few messages that boards are sent.
writeToStream.cacheNumbers = false;

const farewell_ms = 2_000;

/** Keepalives that a board may let pass. Where the kernels watch the connection, silence only tells of an agent that
 *  hangs, and one that is starved gets time; else it is all there is (MQTT 3.1.1, 3.1.2.10). */
const patience = { watched: 3, unwatched: 1.5 } as const;
/** Of a session that has named none. */
const assumedKeepalive_s = 10;

/** One connection, from its first byte. */
interface Connection {
  /** The node it speaks for: the one of its certificate. */
  readonly node: string;
  readonly socket: TLSSocket;
  readonly isWatched: boolean;
  keepalive_s: number;
  /** It has said which session it is. */
  isNamed: boolean;
  /** Bytes received when it was last looked at, and when there were more than before. */
  received: number;
  heard_ms: number;
}

/** What a client that connects says of itself; what of it does not hold here is set. */
type ConnectPacket = Parameters<Aedes["preConnect"]>[1];

/** Altogether, and of these in the middle of a handshake. */
const mostConnections = 2_000;
const mostHandshakes = 64;
/** A board has one; a second while the end of the first is not noticed yet. */
const mostOfABoard = 8;
/** Nobody has to say more at once. What a client sends of a longer packet would be kept until all of it is there. */
const mostPacket_bytes = 64 * 1024;
/** Prefixes of Home Assistant's below which a board may be described. */
const mostDiscoveryTopics = 4;
/** Each is remembered as long as its session lasts. */
const mostSubscriptions = { board: 16, reader: 1_024 } as const;
const longestTopic = 1_024;

/**
 * The embedded MQTT broker. Boards come in by their node certificates; each publishes on its own topics only, and none
 * reads another's. Readers (Home Assistant, say) come in by a token as their password; they read and say nothing. What is
 * learnt of sessions goes into Leases (NodeLeases).
 */
export class Broker {
  private readonly server: Server;
  private readonly arrivals = new Connections({
    ...connectionLimits,
    connections: mostConnections,
    unproven: mostHandshakes,
  });
  /** Those that are open, */
  private readonly connections = new Set<Connection>();
  /** and whose a session is, also when its will is published after the end of its connection. */
  private readonly connectionOf = new WeakMap<MqttSession, Connection>();
  private readonly readers: ReaderSessions;
  /** Where each node is described. */
  private readonly discoveryTopics = new Map<string, Set<string>>();
  private readonly listening = new ListeningClock();
  private renewals: ReturnType<typeof setInterval> | undefined;

  private constructor(
    private readonly options: BrokerOptions,
    private readonly aedes: Aedes,
  ) {
    this.readers = new ReaderSessions(options.reviewReader, options.log);
    this.server = createServer(
      // Whoever has no certificate may still have a token.
      { ...options.credentials(), requestCert: true, rejectUnauthorized: false, minVersion: "TLSv1.2" },
      (socket) => {
        this.arrivals.settled(socket);
        this.admit(socket);
      },
    );
    this.server.on("connection", (socket: TLSSocket) => this.arrivals.opened(socket));
    this.server.on("tlsClientError", (error) => options.log.warn("TLS refused", { error }));
  }

  static async start(options: BrokerOptions): Promise<Broker> {
    const aedes = await Aedes.createBroker({
      concurrency: 32,
      queueLimit: 64,
      // Of QoS 2, each kept until its client lets go of it.
      maxInflightInbound: 16,
      connectTimeout: 10_000,
      // A reader that does not read must not hold up what others are told.
      drainTimeout: 5_000,
    });
    const broker = new Broker(options, aedes);
    broker.govern();
    await broker.listen();
    return broker;
  }

  /** Who may do what, and what is heard. */
  private govern(): void {
    const { aedes } = this;
    aedes.preConnect = (session, packet, done) => {
      const fault = this.faultOfConnecting(session, packet);
      // With an error aedes closes the connection; without, the client would wait for an answer.
      done(fault, fault === null);
    };
    aedes.authenticate = (session, _name, password, done) => {
      if (this.connectionOf.has(session)) return done(null, true);
      void this.readers.authenticate(session, password?.toString("utf8") ?? "", done);
    };
    aedes.authorizePublish = (session, packet, done) => done(this.faultOfPublishing(session, packet));
    aedes.authorizeSubscribe = (session, subscription, done) =>
      done(null, this.maySubscribe(session, subscription.topic) ? subscription : null);
    aedes.on("publish", (packet, session) => this.hear(packet, session));
  }

  private nodeOf(session: MqttSession | null): string | undefined {
    return session ? this.connectionOf.get(session)?.node : undefined;
  }

  /** null: it may connect. Whoever does with the id of a session ends that session: none may take another board's. */
  private faultOfConnecting(session: MqttSession, packet: ConnectPacket): Error | null {
    const own = packet as { clientId: string; clean: boolean };
    // Nothing is kept for somebody who is away.
    own.clean = true;
    if (this.readers.has(session)) {
      // No node is called so.
      own.clientId = `:${packet.clientId || crypto.randomUUID()}`;
      return null;
    }
    const connection = this.connectionOf.get(session);
    const node = connection?.node ?? "";
    if (packet.clientId === node || packet.clientId.startsWith(`${node}/`)) {
      if (connection) {
        connection.keepalive_s = packet.keepalive || assumedKeepalive_s;
        connection.isNamed = true;
      }
      // Its timer would take a board for silent whose packets wait to be read: see `judge`.
      (packet as { keepalive: number }).keepalive = 0;
      return null;
    }
    this.options.log.warn("refused: the client id of another board", { node, clientId: packet.clientId });
    return new Error(`not allowed to connect as ${packet.clientId}`);
  }

  /** null: it may be published; whether it is kept for who comes later is set in the packet. */
  private faultOfPublishing(
    session: MqttSession | null,
    packet: { readonly topic: string; retain: boolean },
  ): Error | null {
    const node = this.nodeOf(session);
    if (node !== undefined && (packet.topic.startsWith(nodeTopics(node)) || isDiscoveryTopicOf(node, packet.topic))) {
      if (!this.mayBeKept(node, packet.topic)) packet.retain = false;
      return null;
    }
    if (session && this.readers.has(session) && isHomeAssistantStatus(packet.topic)) {
      packet.retain = false;
      return null;
    }
    this.options.log.warn("publish refused", { node: node ?? "unknown", topic: packet.topic });
    return new Error(`not allowed to publish on ${packet.topic}; a board publishes on its own topics only`);
  }

  private maySubscribe(session: MqttSession | null, topic: string): boolean {
    const node = this.nodeOf(session);
    const isReader = session !== null && this.readers.has(session);
    const isOwn = node !== undefined && topic.startsWith(nodeTopics(node));
    const most = isReader ? mostSubscriptions.reader : mostSubscriptions.board;
    // The library's types do not name them.
    const { subscriptions = {} } = (session ?? {}) as { subscriptions?: object };
    const mayHaveMore = Object.keys(subscriptions).length < most;
    return (isReader || isOwn) && mayHaveMore && topic.length <= longestTopic;
  }

  /** What a board says of its session goes into its Lease. */
  private hear(packet: { readonly topic: string; readonly payload: unknown }, session: MqttSession | null): void {
    const node = nodeOfSessionTopic(packet.topic);
    const message = node === undefined ? undefined : parseSessionMessage(packet.payload as Uint8Array);
    // A will has no session left; faultOfPublishing saw it all the same.
    if (node === undefined || !message || (session && this.nodeOf(session) !== node)) return;
    // The board has come back by another connection before the end of the old one was noticed.
    if (message.state === "lost" && this.hasAnother(node, session)) return;
    void this.options.leases.take(node, message);
  }

  /** May the last message on this topic of a node's own be kept for whoever comes later? There are few such topics. */
  private mayBeKept(node: string, topic: string): boolean {
    if (topic === sessionTopic(node)) return true;
    if (!isDiscoveryTopicOf(node, topic)) return false;
    const known = this.discoveryTopics.get(node) ?? new Set();
    this.discoveryTopics.set(node, known);
    if (known.size < mostDiscoveryTopics) known.add(topic);
    return known.has(topic);
  }

  private hasAnother(node: string, session: MqttSession | null): boolean {
    const own = session ? this.connectionOf.get(session) : undefined;
    return [...this.connections].some(
      (one) => one.node === node && one !== own && one.isNamed && !one.socket.destroyed,
    );
  }

  async stop(): Promise<void> {
    clearInterval(this.renewals);
    this.listening.stop();
    const closed = new Promise<void>((done) => this.server.close(() => done()));
    await Promise.race([new Promise<void>((done) => this.aedes.close(() => done())), Bun.sleep(farewell_ms)]);
    // A board whose link is down would keep its connection, and this process, for minutes.
    for (const { socket } of this.connections) socket.destroy();
    this.readers.stop();
    await Promise.race([closed, Bun.sleep(farewell_ms)]);
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === "object" && address ? address.port : this.options.port;
  }

  /** Uses renewed certificates for new sessions. */
  reload(): void {
    this.server.setSecureContext(this.options.credentials());
  }

  private async listen(): Promise<void> {
    const { host, port } = this.options;
    await listenAt(this.server, { host, port }, "mqtt-port");
    this.listening.start(() => this.judge());
    const renew = (): void => {
      // A session that said good-bye without a word of what follows is renewed no more.
      const there = new Set([...this.connections].map(({ node }) => node));
      void this.options.leases.renew((node) => there.has(node));
    };
    this.renewals = setInterval(renew, (leaseDuration_s * 1000) / 4);
  }

  /** Ends the connections that have been silent for too long, by the time in which this process could listen. */
  private judge(): void {
    const now_ms = this.listening.now_ms();
    for (const connection of this.connections) {
      const { socket, keepalive_s, isWatched, node } = connection;
      if (socket.bytesRead !== connection.received) {
        connection.received = socket.bytesRead;
        connection.heard_ms = now_ms;
        continue;
      }
      const longest_ms = keepalive_s * 1000 * (isWatched ? patience.watched : patience.unwatched);
      if (now_ms - connection.heard_ms <= longest_ms) continue;
      this.options.log.info("a board has been silent for too long", { node });
      socket.destroy();
    }
    this.readers.endSlow();
  }

  private admit(socket: TLSSocket): void {
    this.limitPackets(socket);
    if (Object.keys(socket.getPeerCertificate()).length > 0) this.admitBoard(socket);
    else this.admitReader(socket);
  }

  /** The library reads from the socket when it has room, and gathers a packet until it is whole. */
  private limitPackets(socket: TLSSocket): void {
    const lengths = new PacketLengths();
    const read = socket.read.bind(socket);
    socket.read = (size?: number): Buffer | null => {
      const bytes = read(size) as Buffer | null;
      if (bytes === null || lengths.longestIn(bytes) <= mostPacket_bytes) return bytes;
      this.options.log.warn("a packet is too long", { address: socket.remoteAddress });
      socket.destroy();
      return null;
    };
  }

  private admitBoard(socket: TLSSocket): void {
    const node = socket.authorized ? nodeOfCertificate(socket) : undefined;
    if (node === undefined) {
      this.options.log.warn("refused: no node certificate", { address: socket.remoteAddress });
      socket.destroy();
      return;
    }
    const connection: Connection = {
      node,
      socket,
      isWatched: watchConnection(socket, sessionLimits),
      keepalive_s: assumedKeepalive_s,
      isNamed: false,
      received: socket.bytesRead,
      heard_ms: this.listening.now_ms(),
    };
    const others = [...this.connections].filter((one) => one.node === node);
    if (others.length >= mostOfABoard) others[0]?.socket.destroy();
    this.connections.add(connection);
    this.connectionOf.set(this.aedes.handle(socket), connection);
    socket.on("error", (error) => this.options.log.info("connection broke", { node, error }));
    socket.on("close", () => this.connections.delete(connection));
  }

  private admitReader(socket: TLSSocket): void {
    if (this.readers.isFull) {
      this.options.log.warn("refused: too many connections without a certificate", { address: socket.remoteAddress });
      socket.destroy();
      return;
    }
    this.readers.add(this.aedes.handle(socket), socket);
  }
}

/** `pi-3` for a certificate of system:node:pi-3 in system:nodes, else undefined. */
function nodeOfCertificate(socket: TLSSocket): string | undefined {
  const { commonName, organizations } = peerSubject(socket);
  const prefix = "system:node:";
  if (!organizations.includes("system:nodes") || !commonName?.startsWith(prefix)) return undefined;
  const node = commonName.slice(prefix.length);
  // Whoever joins by a token chooses the name in a certificate; in a filter it must stand for one board alone (MQTT 3.1.1, 4.7).
  return /^[^+#/]+$/.test(node) ? node : undefined;
}
