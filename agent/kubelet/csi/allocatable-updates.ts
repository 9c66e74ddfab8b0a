import { csiDrivers } from "#shared/api/resources.ts";
import type { CSIDriver } from "#shared/api/types/storage-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import { type Informer, openInformer, withoutManagedFields } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";

export interface AllocatableUpdatesOptions {
  readonly client: Client;
  readonly log: Log;
  /** Does the driver serve on this board? */
  serves(driver: string): boolean;
  /** Asks the driver how many volumes the board can have, and tells the cluster. */
  update(driver: string): Promise<void>;
  readonly clock?: Clock | undefined;
}

/** No API server lets in less; a hand in the store may. */
const leastPeriod_s = 10;

interface Running {
  readonly period_s: number;
  cancel: () => void;
}

/**
 * Keeps what the board's CSINode says of drivers in step with what they say themselves, as often as their CSIDrivers ask
 * for it (KEP-4876): how many volumes a board can have may change under way, with the network cards of a cloud's machine for instance.
 */
export class AllocatableUpdates {
  readonly #options: AllocatableUpdatesOptions;
  readonly #clock: Clock;
  readonly #informer: Informer<CSIDriver>;
  readonly #running = new Map<string, Running>();
  readonly #trouble: StandingTrouble;

  constructor(options: AllocatableUpdatesOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#trouble = new StandingTrouble(options.log, {
      wrong: "how many volumes a CSI driver can attach is not known",
    });
    this.#informer = openInformer(options.client, csiDrivers, { transform: withoutManagedFields, log: options.log });
    this.#informer.addHandler(({ object }) => this.settle(object.metadata.name ?? ""));
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    for (const { cancel } of this.#running.values()) cancel();
    this.#running.clear();
    await this.#informer.stop();
  }

  /** Whether the driver wants it, s; undefined: it does not. */
  period_s(driver: string): number | undefined {
    const asked_s = this.#informer.lister.get(driver)?.spec.nodeAllocatableUpdatePeriodSeconds;
    return asked_s === undefined ? undefined : Math.max(asked_s, leastPeriod_s);
  }

  /** The driver has come or gone, or its CSIDriver has changed. */
  settle(driver: string): void {
    const period_s = this.#options.serves(driver) ? this.period_s(driver) : undefined;
    const present = this.#running.get(driver);
    if (present?.period_s === period_s) return;
    present?.cancel();
    this.#running.delete(driver);
    if (period_s === undefined) return;
    const running: Running = { period_s, cancel: () => undefined };
    this.#running.set(driver, running);
    this.#schedule(driver, running);
  }

  /** At once; never rejects. */
  async update(driver: string): Promise<void> {
    try {
      await this.#options.update(driver);
      this.#trouble.end();
    } catch (error) {
      this.#trouble.tell(error, { driver });
    }
  }

  #schedule(driver: string, running: Running): void {
    running.cancel = this.#clock.after(running.period_s * 1000, () => {
      void this.update(driver).then(() => {
        if (this.#running.get(driver) === running) this.#schedule(driver, running);
      });
    });
  }
}
