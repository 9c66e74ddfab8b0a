import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { discoveryTopic, type TelemetryMessage, telemetryTopic } from "#shared/heartbeat/telemetry.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { type DiscoveredBoard, discoveryMessage } from "./home-assistant.ts";

export interface TelemetryPublisherOptions {
  readonly board: DiscoveredBoard;
  readonly session: Pick<Heartbeat, "isConnected" | "publish">;
  readonly read: () => Promise<TelemetryMessage>;
  readonly interval_s: number;
  /** Home Assistant's discovery prefix; empty: it is not told of this board. */
  readonly homeAssistantPrefix: string;
  readonly log: Log;
  readonly clock?: Clock;
}

/** Publishes a board's telemetry by the clock while a session lives; nothing is kept for later. */
export class TelemetryPublisher {
  readonly #options: TelemetryPublisherOptions;
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;
  #isStopped = false;
  #discovered = false;

  constructor(options: TelemetryPublisherOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** A session has begun, perhaps at another broker, that has to hear of the board first. */
  begin(): void {
    this.#discovered = false;
    this.#schedule(0);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #schedule(delay_ms: number): void {
    this.#cancel?.();
    if (this.#isStopped) return;
    this.#cancel = this.#clock.after(delay_ms, () => {
      this.#publish().catch((error: unknown) => this.#options.log.warn("telemetry could not be told", { error }));
      this.#schedule(this.#options.interval_s * 1000);
    });
  }

  async #publish(): Promise<void> {
    const { session, board, read, interval_s, homeAssistantPrefix } = this.#options;
    if (!session.isConnected) return;
    const telemetry = await read();
    if (homeAssistantPrefix !== "" && !this.#discovered) {
      const discovery = JSON.stringify(discoveryMessage(board, telemetry, interval_s));
      await session.publish(discoveryTopic(homeAssistantPrefix, board.nodeName), discovery, { qos: 1, retain: true });
      this.#discovered = true;
    }
    await session.publish(telemetryTopic(board.nodeName), JSON.stringify(telemetry), { qos: 0, retain: false });
  }
}
