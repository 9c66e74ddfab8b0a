import { setTimeout as delay } from "node:timers/promises";
import { isNotFound } from "#shared/api/errors.ts";
import { resourceSlices } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";

/** Upstream's: a driver that is upgraded is back by then. */
const grace_ms = 30_000;
const firstRetry_ms = 1_000;
const longestRetry_ms = 300_000;

/**
 * Takes off the API what drivers have said of their devices, when nobody serves these: the scheduler would send pods
 * that cannot start (KEP-4381). Drivers write their ResourceSlices themselves, and again when they find them gone.
 */
export class ResourceSlices {
  readonly #stop = new AbortController();
  readonly #withdrawals = new Map<string, AbortController>();

  constructor(
    readonly client: Client,
    readonly nodeName: string,
    readonly log: Log,
    readonly grace: number = grace_ms,
  ) {}

  /** After the board's start no driver is usable before it has registered. */
  withdrawAll(): void {
    void this.#delete({ "spec.nodeName": this.nodeName }, this.#stop.signal);
  }

  /** Nobody serves the driver any more: what it said is taken off after a time of grace. */
  withdraw(driver: string): void {
    if (this.#withdrawals.has(driver)) return;
    const cancel = new AbortController();
    this.#withdrawals.set(driver, cancel);
    void this.#withdraw(driver, AbortSignal.any([cancel.signal, this.#stop.signal]));
  }

  /** The driver is there. */
  keep(driver: string): void {
    this.#withdrawals.get(driver)?.abort();
    this.#withdrawals.delete(driver);
  }

  stop(): void {
    this.#stop.abort();
  }

  async #withdraw(driver: string, signal: AbortSignal): Promise<void> {
    if (!(await passed(this.grace, signal))) return;
    await this.#delete({ "spec.nodeName": this.nodeName, "spec.driver": driver }, signal);
    if (!signal.aborted) this.#withdrawals.delete(driver);
  }

  async #delete(fields: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
    const fieldSelector = Object.entries(fields)
      .map(([field, value]) => `${field}=${value}`)
      .join(",");
    for (let retry_ms = firstRetry_ms; !signal.aborted; retry_ms = Math.min(retry_ms * 2, longestRetry_ms)) {
      try {
        await this.client.deleteCollection(resourceSlices, { fieldSelector });
        return;
      } catch (error) {
        // A server without this API has none.
        if (isNotFound(error)) return;
        this.log.warn("ResourceSlices of drivers that are not there could not be taken off", { fieldSelector, error });
      }
      await passed(retry_ms, signal);
    }
  }
}

/** False when the wait was given up. */
async function passed(time_ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(time_ms, undefined, { signal });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}
