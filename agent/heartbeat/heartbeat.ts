import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { generate } from "mqtt-packet";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { type SessionMessage, sessionLimits, sessionTopic } from "#shared/heartbeat/messages.ts";
import { type OutsideBroker, outsideConnection } from "#shared/heartbeat/outside-broker.ts";
import { outOfUrl } from "#shared/http/host-port.ts";
import { watchConnection } from "#shared/net/connection-watch.ts";
import type { TlsIdentity } from "../tls-identity.ts";

export interface HeartbeatOptions {
  readonly nodeName: string;
  /** Brokers to try in turn, `mqtts://host:8883`. */
  readonly brokers: readonly string[];
  /** Read anew for each connection, so that a renewed certificate is used. */
  readonly credentials: () => TlsIdentity;
  /** Seconds between pings. A broker that says nothing is given up after several; one that is dead the kernel finds. */
  readonly keepalive_s: number;
  /** A broker that is not the master's, instead of those. Its judgement is by keepalives alone; and the board renews its
   *  Lease by the API all the time. */
  readonly outside?: OutsideBroker | undefined;
  readonly log: Log;
  /** A session has begun after one that broke at `brokenAt_ms` (performance.now()): what was silent since may be dead. */
  readonly onReturn?: ((brokenAt_ms: number) => void) | undefined;
  /** A session has begun, the first or a later one. */
  readonly onBegin?: (() => void) | undefined;
  /** Renews the board's Lease past MQTT; called now and then while no broker can be reached. */
  readonly renewLease?: (() => Promise<void>) | undefined;
}

/** Without a session for so long, the board says by the API that it lives, */
const silent_ms = 8_000;
/** and goes on so often, as a kubelet does. */
const renewal_ms = 10_000;

/** A board that ends waits no longer for a broker that does not answer. */
const farewell_ms = 2_000;

/** The board's one MQTT session. It says that the board is alive by being there; the last will tells of its end. */
export class Heartbeat {
  private client: MqttClient | undefined;
  private current: SessionMessage | undefined;
  private brokenAt_ms: number | undefined;
  private renewal: ReturnType<typeof setTimeout> | undefined;
  private readonly onEnds = new Set<() => void>();

  private readonly trouble: StandingTrouble;

  constructor(private readonly options: HeartbeatOptions) {
    // That a session begins is told anyway.
    this.trouble = new StandingTrouble(options.log, { wrong: "no session" });
  }

  start(): void {
    this.connect(0);
    this.renewAfter(silent_ms);
  }

  /** A broker hears this board. */
  get isConnected(): boolean {
    return this.client?.connected ?? false;
  }

  /** Calls it whenever a session, or a try for one, has ended. */
  onEnd(listener: () => void): void {
    this.onEnds.add(listener);
  }

  /** Says something else in the present session. Rejects when there is none, or when it ends before the broker has it. */
  async publish(
    topic: string,
    payload: string,
    options: { readonly qos: 0 | 1; readonly retain: boolean },
  ): Promise<void> {
    if (!this.client?.connected) throw new Error("no MQTT session");
    await this.client.publishAsync(topic, payload, options);
  }

  /** Announces the end, so that nobody takes a restart of the agent for the board's death. */
  async stop(): Promise<void> {
    const { client, current } = this;
    this.client = undefined;
    clearTimeout(this.renewal);
    if (!client) return;
    if (client.connected && current) {
      const leaving: SessionMessage = { ...current, state: "leaving" };
      const farewell = client
        .publishAsync(sessionTopic(this.options.nodeName), JSON.stringify(leaving), { qos: 1, retain: true })
        .then(() => client.endAsync());
      const outcome = await Promise.race([farewell, Bun.sleep(farewell_ms).then(() => "late" as const)]).catch(
        (error: unknown) => this.options.log.warn("the end could not be announced", { error }),
      );
      if (outcome === "late") await sayGoodBye(client.stream as Socket);
    }
    client.end(true);
  }

  /** mqtt.js would reconnect with the same will; a session has a number of its own, so each is a client of its own. */
  private connect(failures: number): void {
    const { brokers, outside } = this.options;
    const broker = outside?.url ?? brokers[failures % brokers.length];
    if (broker === undefined) throw new Error("no MQTT broker is configured");
    const session: SessionMessage = { state: "online", bootId: bootId(), session: sinceBoot_cs() };
    const client = this.clientFor(broker, session);
    this.client = client;
    let reached = false;
    client.on("connect", () => {
      reached = true;
      this.begun(client, broker, session);
    });
    client.on("error", (error) => this.trouble.tell(error, { broker }));
    client.on("close", () => {
      client.end(true);
      if (this.client !== client) return;
      this.brokenAt_ms ??= performance.now();
      if (reached && !outside) this.renewAfter(silent_ms);
      for (const listener of this.onEnds) listener();
      const next = reached ? 0 : failures + 1;
      setTimeout(() => {
        if (this.client === client) this.connect(next);
      }, reconnectDelay_ms(next));
    });
  }

  /** A client that connects, with the board's death as its will. */
  private clientFor(broker: string, session: SessionMessage): MqttClient {
    const { nodeName, credentials, outside, keepalive_s, log } = this.options;
    const topic = sessionTopic(nodeName);
    const client = mqtt.connect({
      ...(outside ? outsideConnection(outside, credentials()) : ownConnection(broker, credentials())),
      protocolVersion: 4,
      clientId: nodeName,
      clean: true,
      keepalive: outside ? Math.min(keepalive_s, outsideKeepalive_s) : keepalive_s,
      timerVariant: patientTimer(() => giveUp()),
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      // Prepared packets of all 65,536 numbers, 10 MB, pay for none of the few messages that a board sends.
      writeCache: false,
      will: { topic, payload: Buffer.from(JSON.stringify({ ...session, state: "lost" })), qos: 1, retain: true },
    });
    // A good-bye keeps the broker from taking a board for lost that is only badly connected, or starved.
    const giveUp = (): void => {
      log.warn("the broker says nothing: beginning anew", { broker });
      // At a broker that knows only keepalives a good-bye would keep the board's end secret.
      if (!outside) client.end(false);
      setTimeout(() => client.end(true), outside ? 0 : goodBye_ms);
    };
    return client;
  }

  private begun(client: MqttClient, broker: string, session: SessionMessage): void {
    const { nodeName, outside, log, onReturn, onBegin } = this.options;
    if (!outside) clearTimeout(this.renewal);
    watchConnection(client.stream as Socket, sessionLimits);
    this.current = session;
    this.trouble.end();
    client.publish(sessionTopic(nodeName), JSON.stringify(session), { qos: 1, retain: true });
    log.info("session begun", { broker, session: session.session });
    if (this.brokenAt_ms !== undefined) onReturn?.(this.brokenAt_ms);
    this.brokenAt_ms = undefined;
    onBegin?.();
  }

  /** A broker that is away, or a port that is shut, does not make the board look dead while the API can be reached. */
  private renewAfter(delay_ms: number): void {
    const { renewLease, log } = this.options;
    if (!renewLease) return;
    clearTimeout(this.renewal);
    this.renewal = setTimeout(() => {
      renewLease().catch((error: unknown) => log.debug("the Lease could not be renewed", { error }));
      this.renewAfter(renewal_ms);
    }, delay_ms);
  }
}

/** In parts: of a URL mqtt.js warns that the way it reads it is outdated. */
function ownConnection(broker: string, credentials: ReturnType<HeartbeatOptions["credentials"]>): IClientOptions {
  const { hostname, port } = new URL(broker);
  return { ...credentials, protocol: "mqtts", host: outOfUrl(hostname), port: Number(port || 8883) };
}

const goodBye_ms = 500;
/** Silence of one and a half of it ends a session (MQTT 3.1.1, 3.1.2.10): a board without power is noticed within 5 s. */
const outsideKeepalive_s = 3;
/** Half keepalives without an answer, counted from the ping, after which a broker is given up. */
const mostSilences = 6;

/**
 * The timer of mqtt.js' keepalive. That asks every half keepalive: it waits, then pings, then gives up. The last it does
 * here only after several turns of the event loop without an answer, each of which would have read one: a process that
 * was starved finds the answers, and does not take the broker for dead because it did not look.
 */
export function patientTimer(giveUp: () => void): Exclude<NonNullable<IClientOptions["timerVariant"]>, string> {
  const timers = new Map<number, ReturnType<typeof setTimeout>>();
  let lastId = 0;
  return {
    set: (run, every_ms = 0) => {
      const id = ++lastId;
      let turns = 0;
      const turn = (): void => {
        turns++;
        timers.set(id, setTimeout(turn, every_ms));
        if (turns <= 2) run();
        else if (turns === 2 + mostSilences) giveUp();
      };
      timers.set(id, setTimeout(turn, every_ms));
      return id;
    },
    clear: (id) => {
      clearTimeout(timers.get(id));
      timers.delete(id);
    },
  };
}

/** Leaves a good-bye behind what was sent, past mqtt.js, which waits for answers first: a broker that was too busy to
 *  answer reads both when it comes to it, and does not take the board for dead. */
function sayGoodBye(stream: Socket): Promise<unknown> {
  const said = new Promise<void>((resolve) => stream.end(generate({ cmd: "disconnect" }), () => resolve()));
  return Promise.race([said, Bun.sleep(goodBye_ms)]);
}

/** At once after a session that lived, then 1 s doubling to 8 s, with up to a third of jitter: a master that comes back
 *  hears from every board before the grace period for silent ones is over. */
function reconnectDelay_ms(failures: number): number {
  const base = failures === 0 ? 250 : exponentialDelay_ms(failures - 1, 1_000, 8_000);
  return base * (1 + Math.random() / 3);
}

function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function sinceBoot_cs(): number {
  return Math.round(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 100);
}
