import { createServer, type Server, type TLSSocket } from "node:tls";
import { Aedes, type Client as MqttSession } from "aedes";
import { writeToStream } from "mqtt-packet";
import type { Log } from "#shared/client/log.ts";
import { leaseDuration_s, nodeOfSessionTopic, nodeTopics, parseSessionMessage } from "#shared/heartbeat/messages.ts";
import type { NodeLeases } from "./node-leases.ts";

export interface BrokerOptions {
  readonly host: string;
  readonly port: number;
  /** PEM; read anew by `reload`. */
  readonly credentials: () => { readonly ca: string; readonly cert: string; readonly key: string };
  readonly leases: Pick<NodeLeases, "take" | "renew">;
  readonly log: Log;
}

// Prepared packets of all 65,536 numbers, 10 MB, pay for none of the few messages that boards are sent.
writeToStream.cacheNumbers = false;

const farewell_ms = 2_000;

/** The nodes a session speaks for: the one of its certificate. */
const nodeOf = new WeakMap<MqttSession, string>();

/**
 * The embedded MQTT broker: only boards with a node certificate come in, each publishes on its own topics only, and none
 * reads another's. What it learns of sessions goes into Leases (NodeLeases).
 */
export class Broker {
  private readonly server: Server;
  private readonly sockets = new Set<TLSSocket>();
  private renewals: ReturnType<typeof setInterval> | undefined;

  private constructor(
    private readonly options: BrokerOptions,
    private readonly aedes: Aedes,
  ) {
    this.server = createServer(
      { ...options.credentials(), requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.2" },
      (socket) => this.admit(socket),
    );
    this.server.on("tlsClientError", (error) => options.log.warn("TLS refused", { error }));
  }

  static async start(options: BrokerOptions): Promise<Broker> {
    const aedes = await Aedes.createBroker({
      concurrency: 32,
      queueLimit: 64,
      connectTimeout: 10_000,
      // Whoever connects with the id of a session ends that session: none may take another board's.
      preConnect: (session, packet, done) => {
        const node = nodeOf.get(session) ?? "";
        if (packet.clientId === node || packet.clientId.startsWith(`${node}/`)) return done(null, true);
        options.log.warn("refused: the client id of another board", { node, clientId: packet.clientId });
        // With an error aedes closes the connection; without, the client would wait for an answer.
        done(new Error(`not allowed to connect as ${packet.clientId}`), false);
      },
      authorizePublish: (session, packet, done) => {
        const node = session ? nodeOf.get(session) : undefined;
        if (node !== undefined && packet.topic.startsWith(nodeTopics(node))) return done(null);
        options.log.warn("publish refused", { node: node ?? "unknown", topic: packet.topic });
        done(new Error(`not allowed to publish on ${packet.topic}; a board publishes on its own topics only`));
      },
      authorizeSubscribe: (session, subscription, done) => {
        const node = session ? nodeOf.get(session) : undefined;
        done(null, node !== undefined && subscription.topic.startsWith(nodeTopics(node)) ? subscription : null);
      },
    });
    const broker = new Broker(options, aedes);
    aedes.on("publish", (packet, session) => {
      const node = nodeOfSessionTopic(packet.topic);
      const message = node === undefined ? undefined : parseSessionMessage(packet.payload as Uint8Array);
      // A will has no session left; authorizePublish saw it all the same.
      if (node !== undefined && message && (!session || nodeOf.get(session) === node)) {
        void options.leases.take(node, message);
      }
    });
    await broker.listen();
    return broker;
  }

  async stop(): Promise<void> {
    clearInterval(this.renewals);
    const closed = new Promise<void>((done) => this.server.close(() => done()));
    await Promise.race([new Promise<void>((done) => this.aedes.close(() => done())), Bun.sleep(farewell_ms)]);
    // A board whose link is down would keep its connection, and this process, for minutes.
    for (const socket of this.sockets) socket.destroy();
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
    await new Promise<void>((done, fail) => {
      this.server.once("error", fail);
      this.server.listen(this.options.port, this.options.host, () => done());
    });
    this.renewals = setInterval(() => void this.options.leases.renew(), (leaseDuration_s * 1000) / 4);
  }

  private admit(socket: TLSSocket): void {
    const node = socket.authorized ? nodeOfCertificate(socket) : undefined;
    if (node === undefined) {
      this.options.log.warn("refused: no node certificate", { address: socket.remoteAddress });
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", (error) => this.options.log.info("connection broke", { node, error }));
    nodeOf.set(this.aedes.handle(socket), node);
  }
}

/** `pi-3` for a certificate of system:node:pi-3 in system:nodes, else undefined. */
function nodeOfCertificate(socket: TLSSocket): string | undefined {
  const subject = socket.getPeerCertificate().subject as unknown as { CN?: string; O?: string | string[] } | undefined;
  const organisations = [subject?.O ?? []].flat();
  const prefix = "system:node:";
  if (!organisations.includes("system:nodes") || !subject?.CN?.startsWith(prefix)) return undefined;
  return subject.CN.slice(prefix.length);
}
