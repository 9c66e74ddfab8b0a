import { stat } from "node:fs/promises";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { ContainerStatus, LogBounds } from "../runtime.ts";
import { type RotationActions, rotateLogs } from "./log-rotation.ts";

/** How often logs are looked at; upstream's containerLogMonitorInterval. */
const usualLook_ms = 10_000;

export interface LogKeeperActions extends Pick<RotationActions, "reopen" | "warn"> {
  /** Lists all containers, and gives them to `rotate`. */
  readonly look: () => Promise<unknown>;
  readonly clock?: Clock | undefined;
  readonly look_ms?: number | undefined;
}

/**
 * Keeps the logs of containers within their bounds. Looks at the files by itself while anything runs, and asks the runtime
 * for its containers only where one has grown too long or others have started; a board on which nothing runs has no such
 * timer.
 */
export class LogKeeper {
  readonly #limits: LogBounds;
  readonly #actions: LogKeeperActions;
  #cancel: (() => void) | undefined;
  #isClosed = false;
  /** Containers have started since the last list. */
  #hasStarted = false;
  /** Of containers that ran at the last list. */
  #paths: readonly string[] = [];
  #rotating: Promise<void> | undefined;

  constructor(limits: LogBounds, actions: LogKeeperActions) {
    this.#limits = limits;
    this.#actions = actions;
  }

  containerStarted(): void {
    this.#hasStarted = true;
    if (!this.#cancel) this.#lookLater();
  }

  /** Rotates what has grown too long of all containers that there are. One at a time: two would set the same log aside twice, and
   *  the second what the first has just begun. */
  async rotate(containers: readonly ContainerStatus[]): Promise<void> {
    this.#rotating ??= this.#rotateAll(containers).finally(() => {
      this.#rotating = undefined;
    });
    await this.#rotating;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  async #rotateAll(containers: readonly ContainerStatus[]): Promise<void> {
    this.#hasStarted = false;
    await rotateLogs(containers, this.#limits, this.#actions);
    this.#paths = containers.flatMap(({ state, logPath }) => (state === "running" && logPath ? [logPath] : []));
    if (this.#paths.length > 0) this.#lookLater();
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#cancel?.();
    const { clock = systemClock, look_ms = usualLook_ms } = this.#actions;
    this.#cancel = clock.after(look_ms, () => {
      this.#cancel = undefined;
      // While the runtime is away there is nobody to rotate for.
      this.#look().catch(() => this.#lookLater());
    });
  }

  async #look(): Promise<void> {
    if (this.#hasStarted || (await this.#isAnyTooLong())) await this.#actions.look();
    else if (this.#paths.length > 0) this.#lookLater();
  }

  async #isAnyTooLong(): Promise<boolean> {
    const { maxSize_bytes } = this.#limits;
    if (maxSize_bytes < 0) return false;
    const sizes = await Promise.all(
      this.#paths.map((path) =>
        stat(path).then(
          ({ size }) => size,
          // Gone with its container: the list will say so.
          () => Number.POSITIVE_INFINITY,
        ),
      ),
    );
    return sizes.some((size) => size >= maxSize_bytes);
  }
}
