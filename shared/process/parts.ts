import type { Log } from "../client/log.ts";

/** Something of a process that was started and has to be stopped. */
export interface Part {
  stop(): Promise<void> | void;
}

export interface StopTimes {
  /** A part that takes longer is named in the log. */
  readonly slow_ms: number;
  /** One that takes as long is left behind, so that it cannot hold the process. */
  readonly patience_ms: number;
}

const usual: StopTimes = { slow_ms: 2_000, patience_ms: 10_000 };

/** What a process consists of, in the order in which it was started. */
export class Parts {
  readonly #parts: { readonly name: string; readonly part: Part }[] = [];

  constructor(
    private readonly log: Log,
    private readonly times: StopTimes = usual,
  ) {}

  add(name: string, part: Part): void {
    this.#parts.push({ name, part });
  }

  /** Stops the last started first, each once. A part that fails or takes too long is logged and keeps no other from its
   *  end; never rejects. */
  async stop(): Promise<void> {
    for (let last = this.#parts.pop(); last !== undefined; last = this.#parts.pop()) {
      await this.#stopOne(last.name, last.part);
    }
  }

  async #stopOne(name: string, part: Part): Promise<void> {
    const { slow_ms, patience_ms } = this.times;
    const began_ms = performance.now();
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), patience_ms);
    const took_ms = (): number => Math.round(performance.now() - began_ms);
    try {
      const ended = Promise.resolve(part.stop()).then(() => "ended" as const);
      if ((await Promise.race([ended, late.promise])) === "late") {
        ended.catch(() => undefined);
        this.log.error("does not end; going on without it", { part: name, after_ms: took_ms() });
      } else if (took_ms() >= slow_ms) {
        this.log.warn("was slow to end", { part: name, took_ms: took_ms() });
      }
    } catch (error) {
      this.log.error("did not end well", { part: name, error });
    } finally {
      clearTimeout(timer);
    }
  }
}
