import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { CacheCheckpoint } from "#shared/client/cache-checkpoint.ts";
import type { ReadScope } from "#shared/client/client.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { errnoOf } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { durableForm } from "./durable-form.ts";
import type { Seal } from "./seal.ts";

export interface CacheFilesOptions {
  readonly folder: string;
  readonly seal: Seal;
  readonly log: Log;
  /** Which caches are kept; others are neither written nor read. */
  readonly keeps: CacheCheckpoint["keeps"];
  readonly clock?: Clock | undefined;
}

/** Changes that come together are written together; what is younger may be lost by a power cut. */
const gather_ms = 3_000;
/** What all files together may write over time, 20 MB a day: caches that always change are kept more rarely. */
const rate_bytes_per_s = 240;
/** What may be written at once after a quiet time: an hour of deployments and of boards that come and go, after which a
 *  board that boots alone must not lead its Services by what was true before. */
const burst_bytes = 2 * 1024 * 1024;
/** What replacing a file costs a card beside its content: blocks rounded up, folder and journal. */
const overhead_bytes = 16 * 1024;
/** A cache that is bigger, as text, is not kept: reading it would take the memory of a small board. */
const largest_bytes = 32 * 1024 * 1024;
/** By then every informer of the process has said what it keeps; a file that is still nobody's is of another version. */
const sweepAfter_ms = 60_000;
/** What the card did not take is tried again after so long: a full one gets room again, and nothing else may change by then. */
const retry_ms = 60_000;
/** A temporary file that is older was left by a power cut. */
const longestWrite_ms = 60_000;
const suffix = ".sealed";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

const words = {
  wrong: "a checkpoint cannot be written, and will be tried again",
  over: "the checkpoint is written again",
};

interface Kept {
  /** Of the text last written, so that an unchanged one is not written again. */
  digest: string | undefined;
  /** There is a file, be it an older one; else what comes first is written at once. */
  hasFile: boolean;
  objects: (() => readonly KubeObject[]) | undefined;
  cancel: (() => void) | undefined;
  writing: Promise<void>;
  readonly trouble: StandingTrouble;
}

/**
 * The caches of a board's informers on its card: one small file for each (JSON, compressed, sealed), replaced as a whole
 * so that a power cut leaves the old or the new one. Written only when what matters has changed, seldom, and at a bounded
 * rate, but the first time at once: a board may be cut off right after it joined. A file that cannot be read counts as none.
 */
export class CacheFiles implements CacheCheckpoint {
  readonly #options: CacheFilesOptions;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  readonly #budget: WriteBudget;
  readonly #opened_ms: number;
  #hasSwept = false;
  #stopped = false;

  constructor(options: CacheFilesOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#budget = new WriteBudget(this.#clock);
    this.#opened_ms = this.#clock.now_ms();
  }

  keeps(ref: Parameters<CacheCheckpoint["keeps"]>[0], scope: ReadScope): boolean {
    return this.#options.keeps(ref, scope);
  }

  async load(name: string): Promise<readonly KubeObject[] | undefined> {
    const path = this.#path(name);
    try {
      const { size } = await stat(path);
      if (size > largest_bytes) throw new Error(`${size} bytes are more than was ever written`);
      const packed = this.#options.seal.open(name, await readFile(path));
      const text = await decompress(packed, { maxOutputLength: largest_bytes });
      const objects: unknown = JSON.parse(text.toString("utf8"));
      if (!Array.isArray(objects)) throw new Error("it holds no list");
      this.#of(name).digest = digestOf(text);
      return objects as KubeObject[];
    } catch (error) {
      if (errnoOf(error) !== "ENOENT")
        this.#options.log.warn("a checkpoint cannot be used and counts as none", { path, error });
      return undefined;
    }
  }

  changed(name: string, objects: () => readonly KubeObject[]): void {
    if (this.#stopped) return;
    const kept = this.#of(name);
    kept.objects = objects;
    if (kept.cancel) return;
    if (!kept.hasFile && this.#budget.wait_ms() <= 0) {
      kept.hasFile = true;
      void this.#write(name, kept);
      return;
    }
    this.#plan(name, kept, gather_ms);
  }

  #plan(name: string, kept: Kept, delay_ms: number): void {
    const write = (): void => {
      const wait_ms = this.#budget.wait_ms();
      kept.cancel = wait_ms > 0 ? this.#clock.after(wait_ms, write) : undefined;
      if (wait_ms <= 0) void this.#write(name, kept);
    };
    kept.cancel = this.#clock.after(delay_ms, write);
  }

  /** Writes that have begun are done. */
  async flushed(): Promise<void> {
    await Promise.all([...this.#kept.values()].map(({ writing }) => writing));
  }

  /** Writes what waits, and takes no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(
      [...this.#kept].map(([name, kept]) => {
        const waits = kept.cancel !== undefined;
        kept.cancel?.();
        kept.cancel = undefined;
        return waits ? this.#write(name, kept) : kept.writing;
      }),
    );
  }

  #of(name: string): Kept {
    let kept = this.#kept.get(name);
    if (!kept) {
      kept = {
        digest: undefined,
        hasFile: existsSync(this.#path(name)),
        objects: undefined,
        cancel: undefined,
        writing: Promise.resolve(),
        trouble: new StandingTrouble(this.#options.log, words),
      };
      this.#kept.set(name, kept);
    }
    return kept;
  }

  /** Never fails: what cannot be written is reported, and tried again. */
  #write(name: string, kept: Kept): Promise<void> {
    kept.writing = kept.writing
      .then(() => this.#writeOnce(name, kept))
      .then(() => kept.trouble.end({ path: this.#path(name) }))
      .catch((error: unknown) => {
        kept.digest = undefined;
        kept.trouble.tell(error, { path: this.#path(name) });
        if (!this.#stopped && !kept.cancel) this.#plan(name, kept, retry_ms);
      });
    return kept.writing;
  }

  async #writeOnce(name: string, kept: Kept): Promise<void> {
    const text = Buffer.from(JSON.stringify(sorted(kept.objects?.() ?? []).map(durableForm)));
    const digest = digestOf(text);
    if (digest === kept.digest) return;
    if (text.length > largest_bytes) {
      this.#options.log.warn("a cache is too big to be kept for a start without the master", {
        name,
        bytes: text.length,
      });
      return;
    }
    const sealed = this.#options.seal.close(name, await compress(text));
    await writeSecureFile(this.#path(name), sealed);
    kept.digest = digest;
    this.#budget.spend(sealed.length + overhead_bytes);
    await this.#sweep();
  }

  /** Once: files of caches that this version does not keep any more, and what a power cut left of a write. */
  async #sweep(): Promise<void> {
    if (this.#hasSwept || this.#clock.now_ms() - this.#opened_ms < sweepAfter_ms) return;
    this.#hasSwept = true;
    const known = new Set([...this.#kept.keys()].map((name) => this.#path(name)));
    for (const file of await readdir(this.#options.folder)) {
      const path = join(this.#options.folder, file);
      const isBeingWritten =
        file.endsWith(".tmp") && this.#clock.wall_ms() - (await writtenAt_ms(path)) < longestWrite_ms;
      if (!known.has(path) && !isBeingWritten) await rm(path, { force: true });
    }
  }

  #path(name: string): string {
    const [group = "", , plural = ""] = name.split("|");
    const hash = createHash("sha256").update(name).digest("hex").slice(0, 12);
    return join(this.#options.folder, `${plural}${group ? `.${group}` : ""}-${hash}${suffix}`);
  }
}

/** What an agent's informers hold, kept for a boot with the master away; what is for one board alone the kubelet keeps.
 *  @param single caches of one object that are kept too */
export function openCacheFiles(
  agentFolder: string,
  seal: Seal,
  log: Log,
  single: readonly ReadScope[] = [],
): CacheFiles {
  return new CacheFiles({
    folder: join(agentFolder, "caches"),
    seal,
    keeps: (_, scope) => !scope.fieldSelector || single.includes(scope),
    log,
  });
}

/** Bytes that may be written: they come at a steady rate and are saved up to a bound. */
class WriteBudget {
  #left_bytes = burst_bytes;
  #counted_ms: number;

  constructor(private readonly clock: Clock) {
    this.#counted_ms = clock.now_ms();
  }

  spend(bytes: number): void {
    this.#count();
    this.#left_bytes -= bytes;
  }

  /** How long until something may be written; 0 for now. */
  wait_ms(): number {
    this.#count();
    return this.#left_bytes >= 0 ? 0 : Math.ceil(-this.#left_bytes / rate_bytes_per_s) * 1000;
  }

  #count(): void {
    const now_ms = this.clock.now_ms();
    const earned = ((now_ms - this.#counted_ms) / 1000) * rate_bytes_per_s;
    this.#left_bytes = Math.min(burst_bytes, this.#left_bytes + earned);
    this.#counted_ms = now_ms;
  }
}

/** By key: a server lists in whatever order. */
const sorted = (objects: readonly KubeObject[]): KubeObject[] =>
  objects
    .map((object) => [keyOf(object), object] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, object]) => object);

const digestOf = (text: Uint8Array): string => createHash("sha256").update(text).digest("base64");

/** When the file was last written; 0 when it is gone. */
const writtenAt_ms = (path: string): Promise<number> =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
