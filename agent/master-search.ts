import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { findProvenMasters, provenAmong, type Trust } from "#shared/discovery/proven-masters.ts";

export interface MasterSearchOptions {
  /** Servers that this board was told of by a person. */
  readonly configured: readonly string[];
  /** How a master is known; undefined: by nothing yet. */
  readonly trust: () => Promise<Trust | undefined>;
  /** Takes the servers that were found; none where those of the configuration answer. */
  readonly found: (servers: readonly string[]) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock | undefined;
  readonly find?: typeof findProvenMasters | undefined;
}

const shortest_ms = 10_000;
const longest_ms = 10 * 60_000;

/** Looks for the cluster's masters on the LAN when none answers, because an address was changed by DHCP or none was named.
 *  Rarely: each search that brings nothing doubles the time to the next. */
export class MasterSearch {
  readonly #options: MasterSearchOptions;
  readonly #clock: Clock;
  #pause_ms = shortest_ms;
  #notBefore_ms = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;

  constructor(options: MasterSearchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** No master answers. Resolves when a search has ended, at once where none is due; never rejects. */
  prompt(): Promise<void> {
    if (this.#running) return this.#running;
    if (this.#clock.now_ms() < this.#notBefore_ms || this.#options.signal.aborted) return Promise.resolve();
    this.#running = this.#search()
      .catch((error: unknown) => this.#options.log.warn("masters cannot be looked for", { error }))
      .finally(() => {
        this.#running = undefined;
        this.#notBefore_ms = this.#clock.now_ms() + this.#pause_ms;
        this.#pause_ms = Math.min(this.#pause_ms * 2, longest_ms);
      });
    return this.#running;
  }

  async #search(): Promise<void> {
    const { configured, found, log, signal, find = findProvenMasters } = this.#options;
    const trust = await this.#options.trust();
    if (trust === undefined) return;
    if ((await provenAmong(configured, trust, signal)).length > 0) {
      found([]);
      return;
    }
    const servers = await find(trust, signal);
    if (servers.length === 0) {
      log.info("no master of this cluster answers by mDNS", { again_s: this.#pause_ms / 1000 });
      return;
    }
    log.info("found by mDNS", { masters: servers.join(",") });
    this.#pause_ms = shortest_ms;
    found(servers);
  }
}
