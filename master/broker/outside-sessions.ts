import mqtt, { type MqttClient } from "mqtt";
import type { Log } from "#shared/client/log.ts";
import { nodeOfSessionTopic, parseSessionMessage, sessionTopic } from "#shared/heartbeat/messages.ts";
import { type OutsideBroker, outsideConnection } from "#shared/heartbeat/outside-broker.ts";
import type { NodeLeases } from "./node-leases.ts";

export interface OutsideSessionsOptions {
  readonly broker: OutsideBroker;
  /** Read anew for each connection. PEM. */
  readonly certificate: () => { readonly cert: string; readonly key: string };
  /** Tells masters of one cluster apart at the broker. */
  readonly name: string;
  readonly leases: Pick<NodeLeases, "take">;
  readonly log: Log;
}

const keepalive_s = 15;
const firstRetry_ms = 500;
const longestRetry_ms = 15_000;

/**
 * Hears of boards' sessions at a broker that is not the master's. Who may publish what is for that broker to see to
 * (docs/mqtt.md). The Leases are renewed by the boards themselves: a broker that is away makes no board look dead.
 */
export class OutsideSessions {
  private client: MqttClient | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private isStopped = false;

  constructor(private readonly options: OutsideSessionsOptions) {}

  start(): void {
    this.connect();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.retry);
    await this.client?.endAsync(true);
  }

  /** A client of its own for each connection, so that renewed certificates and passwords are used. */
  private connect(): void {
    const { broker, certificate, name, leases, log } = this.options;
    const fail = (error: unknown): void => {
      if (this.failures++ === 0) log.warn("the broker cannot be reached; trying again", { broker: broker.url, error });
    };
    const again = (): void => {
      if (this.isStopped) return;
      clearTimeout(this.retry);
      const wait_ms = Math.min(longestRetry_ms, firstRetry_ms * 2 ** Math.min(this.failures, 6));
      this.retry = setTimeout(() => this.connect(), wait_ms);
    };
    let client: MqttClient;
    try {
      client = mqtt.connect({
        ...outsideConnection(broker, certificate()),
        protocolVersion: 4,
        clientId: `bramble-master-${name}`,
        clean: true,
        keepalive: keepalive_s,
        reconnectPeriod: 0,
        writeCache: false,
      });
    } catch (error) {
      // A password file that is not there, for instance.
      fail(error);
      again();
      return;
    }
    this.client = client;
    client.on("connect", () => {
      this.failures = 0;
      log.info("listening to sessions", { broker: broker.url });
      client.subscribe(sessionTopic("+"), { qos: 1 }, (error) => error && log.error("cannot subscribe", { error }));
    });
    client.on("message", (topic, payload) => {
      const node = nodeOfSessionTopic(topic);
      const message = parseSessionMessage(payload);
      if (node !== undefined && message) void leases.take(node, message);
    });
    client.on("error", fail);
    client.on("close", () => {
      client.end(true);
      if (this.client === client) again();
    });
  }
}
