import { appendFile, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { ifPresent } from "#shared/files/if-present.ts";

export interface LogFileOptions {
  /** `-`: standard output. */
  readonly path: string;
  /** A file grows no larger; 0: 100 MB. */
  readonly maxSize_MB: number;
  /** Older ones are removed; 0: never for their age. */
  readonly maxAge_days: number;
  /** Of older ones so many are kept; 0: all. */
  readonly maxBackups: number;
  readonly now_ms?: (() => number) | undefined;
}

const DEFAULT_MB = 100;
const DAY_MS = 86_400_000;

/** A log that is put aside when it has grown, as `NAME-TIME.EXT`, and thrown away when old (the names of lumberjack). */
export class RotatingLog {
  readonly #options: LogFileOptions;
  /** undefined: not looked at yet. */
  #size_bytes: number | undefined;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** Lines, each without its end. */
  async write(lines: readonly string[]): Promise<void> {
    const { path, maxSize_MB } = this.#options;
    const bytes = Buffer.from(`${lines.join("\n")}\n`);
    if (path === "-") {
      process.stdout.write(bytes);
      return;
    }
    this.#size_bytes ??= await this.#open();
    if (this.#size_bytes > 0 && this.#size_bytes + bytes.length > (maxSize_MB || DEFAULT_MB) * 1024 * 1024) {
      await this.#rotate();
    }
    // It may hold what nobody else is to read.
    await appendFile(path, bytes, { mode: 0o600 });
    this.#size_bytes += bytes.length;
  }

  async #open(): Promise<number> {
    const { path } = this.#options;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return (await ifPresent(stat(path)))?.size ?? 0;
  }

  async #rotate(): Promise<void> {
    const { path } = this.#options;
    const time = new Date(this.#now_ms()).toISOString().replaceAll(":", "-").slice(0, -1);
    const extension = extname(path);
    await rename(path, join(dirname(path), `${basename(path, extension)}-${time}${extension}`));
    this.#size_bytes = 0;
    await this.#prune();
  }

  async #prune(): Promise<void> {
    const { path, maxAge_days, maxBackups } = this.#options;
    const extension = extname(path);
    const prefix = `${basename(path, extension)}-`;
    const timed = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;
    const backups = (await readdir(dirname(path)))
      .filter((name) => name.startsWith(prefix) && name.endsWith(extension))
      .map((name) => ({ name, time: name.slice(prefix.length, name.length - extension.length) }))
      .filter(({ time }) => timed.test(time))
      .sort((a, b) => (a.time < b.time ? 1 : -1));
    const oldest_ms = maxAge_days > 0 ? this.#now_ms() - maxAge_days * DAY_MS : Number.NEGATIVE_INFINITY;
    for (const [index, { name, time }] of backups.entries()) {
      const isSurplus = maxBackups > 0 && index >= maxBackups;
      if (isSurplus || timeOf(time) < oldest_ms) await rm(join(dirname(path), name));
    }
  }

  #now_ms(): number {
    return (this.#options.now_ms ?? Date.now)();
  }
}

const timeOf = (text: string): number => Date.parse(`${text.replace(/T(\d\d)-(\d\d)-/, "T$1:$2:")}Z`);
