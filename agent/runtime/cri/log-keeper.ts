import type { ContainerStatus } from "../runtime.ts";
import { type LogLimits, type RotationActions, rotateLogs } from "./log-rotation.ts";

export const defaultLogMaxSize_bytes = 10 * 1024 * 1024;
export const defaultLogMaxFiles = 5;
/** How soon logs are looked at again, after one had grown too long and else. */
const busyLogs_ms = 10_000;
const quietLogs_ms = 60_000;

export interface LogKeeperActions extends Pick<RotationActions, "reopen" | "warn"> {
  /** Lists all containers, and gives them to `rotate`. */
  readonly look: () => Promise<unknown>;
}

/** Keeps the logs of containers within their bounds. Looks at them by itself while anything runs; a board on which nothing
 *  does has no such timer. */
export class LogKeeper {
  readonly #limits: LogLimits;
  readonly #actions: LogKeeperActions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(limits: LogLimits, actions: LogKeeperActions) {
    this.#limits = limits;
    this.#actions = actions;
  }

  containerStarted(): void {
    if (!this.#timer) this.#lookIn(quietLogs_ms);
  }

  /** Rotates what has grown too long of all containers that there are. */
  async rotate(containers: readonly ContainerStatus[]): Promise<void> {
    const rotated = await rotateLogs(containers, this.#limits, this.#actions);
    if (containers.some(({ state }) => state === "running")) this.#lookIn(rotated > 0 ? busyLogs_ms : quietLogs_ms);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #lookIn(delay_ms: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // While the runtime is away there is nobody to rotate for.
      this.#actions.look().catch(() => this.#lookIn(quietLogs_ms));
    }, delay_ms);
    this.#timer.unref();
  }
}
