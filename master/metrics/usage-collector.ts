import { type Counters, type Usage, type UsageSample, usageBetween } from "./usage-sample.ts";

export interface UsageCollectorOptions {
  /** Reads a board's counters. Rejects while the board cannot be reached. */
  scrape(board: string): Promise<UsageSample>;
  /** Monotonic. */
  now_ms?(): number;
  readonly settle_ms?: number | undefined;
  /** Gets what failed on a board. */
  failed?(board: string, error: unknown): void;
}

/** What a board and its pods use. */
export interface BoardUsage {
  readonly board: Usage | undefined;
  /** By `namespace/pod`, then by container. */
  readonly pods: ReadonlyMap<string, ReadonlyMap<string, Usage>>;
}

/** Asked again within this time, a board's last answer stands. */
const fresh_ms = 10_000;
/** Counters older than this say nothing about now: then two samples are taken one after the other. */
const stale_ms = 90_000;
const betweenTwo_ms = 2_000;
const boardsAtOnce = 16;
/** Nobody asked for a board in this time: its counters are forgotten. */
const forget_ms = 10 * 60_000;

interface Known {
  before: UsageSample | undefined;
  now: UsageSample | undefined;
  scraped_ms: number;
  pending: Promise<void> | undefined;
}

/**
 * Usage of boards and pods, worked out when somebody asks: no timer runs and no board is bothered while nobody does. Each
 * answer stands for ten seconds; CPU is the mean since the last question, or over two seconds when that is long ago.
 * Memory is bounded by two samples a board.
 */
export class UsageCollector {
  readonly #options: UsageCollectorOptions;
  readonly #boards = new Map<string, Known>();

  constructor(options: UsageCollectorOptions) {
    this.#options = options;
  }

  /** By board; boards that could not be reached are left out. */
  async usage(boards: Iterable<string>): Promise<Map<string, BoardUsage>> {
    const now_ms = this.#now();
    for (const [board, { scraped_ms, pending }] of this.#boards)
      if (!pending && now_ms - scraped_ms > forget_ms) this.#boards.delete(board);
    const found = new Map<string, BoardUsage>();
    const waiting = [...new Set(boards)];
    const work = async (): Promise<void> => {
      for (let board = waiting.shift(); board !== undefined; board = waiting.shift()) {
        const known = await this.#refreshed(board);
        if (known?.now) found.set(board, usageOf(known.before, known.now));
      }
    };
    await Promise.all(Array.from({ length: Math.min(boardsAtOnce, waiting.length) }, work));
    return found;
  }

  #now(): number {
    return this.#options.now_ms?.() ?? performance.now();
  }

  async #refreshed(board: string): Promise<Known | undefined> {
    const known = this.#boards.get(board) ?? {
      before: undefined,
      now: undefined,
      scraped_ms: Number.NEGATIVE_INFINITY,
      pending: undefined,
    };
    this.#boards.set(board, known);
    if (this.#now() - known.scraped_ms < fresh_ms) return known;
    // Whoever asks meanwhile shares the answer.
    known.pending ??= this.#scrape(board, known).finally(() => {
      known.pending = undefined;
    });
    try {
      await known.pending;
      return known;
    } catch (error) {
      this.#boards.delete(board);
      this.#options.failed?.(board, error);
      return undefined;
    }
  }

  async #scrape(board: string, known: Known): Promise<void> {
    const { scrape, settle_ms = betweenTwo_ms } = this.#options;
    const isStale = this.#now() - known.scraped_ms > stale_ms;
    const before = isStale ? undefined : known.now;
    let now = await scrape(board);
    if (before === undefined) {
      known.before = now;
      await Bun.sleep(settle_ms);
      now = await scrape(board);
    } else known.before = before;
    known.now = now;
    known.scraped_ms = this.#now();
  }
}

function usageOf(before: UsageSample | undefined, now: UsageSample): BoardUsage {
  const between = (earlier: Counters | undefined, later: Counters | undefined): Usage | undefined =>
    later && usageBetween(earlier, later);
  return {
    board: between(before?.board, now.board),
    pods: new Map(
      [...now.pods].map(([pod, containers]) => [
        pod,
        new Map(
          [...containers].flatMap(([container, counters]): [string, Usage][] => {
            const usage = between(before?.pods.get(pod)?.get(container), counters);
            return usage ? [[container, usage]] : [];
          }),
        ),
      ]),
    ),
  };
}
