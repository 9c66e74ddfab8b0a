import type { ContainerRuntime, ImageStatus, RuntimeVersion } from "#agent/runtime/runtime.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { type Clock, pause, systemClock } from "#shared/client/clock.ts";

/** Upstream's runtimeRequestTimeout. */
const usualPatience_ms = 120_000;
/** For its first word, without which no pod runs anyway: a board registers meanwhile, not ready, and is seen. */
const firstPatience_ms = 10_000;

export interface RuntimeHealthOptions {
  /** How long the runtime may take over an answer before it counts as down. */
  readonly patience_ms?: number | undefined;
  /** It answers again. */
  readonly onRecovered: () => void;
  readonly clock?: Clock | undefined;
}

/** What the container runtime says of itself and of its images, as long as it answers. One that hangs does not even say that it is down. */
export class RuntimeHealth {
  readonly #runtime: Pick<ContainerRuntime, "version" | "listImages">;
  readonly #options: RuntimeHealthOptions;
  readonly #patience_ms: number;
  readonly #clock: Clock;
  #version: RuntimeVersion | undefined;
  #images: readonly ImageStatus[] = [];
  #trouble: string | undefined;
  /** A question that has no answer yet. */
  #asked: { readonly answered: Promise<void>; readonly at_ms: number } | undefined;

  constructor(runtime: Pick<ContainerRuntime, "version" | "listImages">, options: RuntimeHealthOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#patience_ms = options.patience_ms ?? usualPatience_ms;
    this.#clock = options.clock ?? systemClock;
  }

  /** Its last word; undefined before it has answered once. */
  get version(): RuntimeVersion | undefined {
    return this.#version;
  }

  /** None while it does not answer. */
  get images(): readonly ImageStatus[] {
    return this.#trouble === undefined ? this.#images : [];
  }

  /** Why it cannot run pods; undefined when it can. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get #granted_ms(): number {
    return this.#version ? this.#patience_ms : Math.min(firstPatience_ms, this.#patience_ms);
  }

  /** Resolves when it has answered, or has had its time. It is not asked anew before it has answered. Rejects only when
   *  `signal` aborts. */
  async ask(signal?: AbortSignal): Promise<void> {
    this.#asked ??= { answered: this.#inquire(), at_ms: this.#clock.now_ms() };
    const { answered, at_ms } = this.#asked;
    const granted_ms = this.#granted_ms;
    const left_ms = at_ms + granted_ms - this.#clock.now_ms();
    if (left_ms > 0) {
      const waiting = new AbortController();
      const over = signal ? AbortSignal.any([waiting.signal, signal]) : waiting.signal;
      await Promise.race([answered, pause(this.#clock, left_ms, over)]);
      waiting.abort();
      signal?.throwIfAborted();
    }
    if (this.#asked === undefined) return;
    this.#trouble = `container runtime is down: it has not answered for ${granted_ms / 1000} s`;
  }

  async #inquire(): Promise<void> {
    const trouble = await this.#lookForTrouble();
    const hasRecovered = this.#trouble !== undefined && trouble === undefined;
    this.#trouble = trouble;
    this.#asked = undefined;
    if (hasRecovered) this.#options.onRecovered();
  }

  async #lookForTrouble(): Promise<string | undefined> {
    try {
      this.#version = await this.#runtime.version();
      this.#images = await this.#runtime.listImages().catch(() => []);
      return undefined;
    } catch (error) {
      return `container runtime is down: ${messageOf(error)}`;
    }
  }
}
