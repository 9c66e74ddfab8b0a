import { createReadStream } from "node:fs";
import { appendFile, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { ifPresent } from "#shared/files/if-present.ts";
import { syncFolder } from "#shared/files/secure-file.ts";

export interface LogFileOptions {
  /** `-`: standard output. */
  readonly path: string;
  /** A file grows no larger; 0: 100 MB. */
  readonly maxSize_MB: number;
  /** Older ones are removed; 0: never for their age. */
  readonly maxAge_days: number;
  /** Of older ones so many are kept; 0: all. */
  readonly maxBackups: number;
  /** Older ones are compressed with gzip. */
  readonly compresses?: boolean | undefined;
  /** Told of older ones that could not be removed or compressed: the log goes on. */
  readonly report?: ((message: string) => void) | undefined;
  readonly now_ms?: (() => number) | undefined;
}

const DEFAULT_MB = 100;
const DAY_MS = 86_400_000;

/** Of a file that was put aside. */
interface Backup {
  readonly path: string;
  /** As it stands in the name; such texts sort as the times do. */
  readonly time: string;
  readonly isCompressed: boolean;
}

const packed = ".gz";
/** It may hold what nobody else is to read. */
const mode = 0o600;

/** A log that is put aside when it has grown, as `NAME-TIME.EXT`, and thrown away when old (the names of lumberjack). */
export class RotatingLog {
  readonly #options: LogFileOptions;
  /** undefined: not looked at yet. */
  #size_bytes: number | undefined;
  #tending: Promise<void> = Promise.resolve();

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** Resolves once nothing more is done to older files. */
  get tended(): Promise<void> {
    return this.#tending;
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
    await appendFile(path, bytes, { mode });
    this.#size_bytes += bytes.length;
  }

  async #open(): Promise<number> {
    const { path } = this.#options;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    this.#tend();
    return (await ifPresent(stat(path)))?.size ?? 0;
  }

  async #rotate(): Promise<void> {
    const { path } = this.#options;
    const time = new Date(this.#now_ms()).toISOString().replaceAll(":", "-").slice(0, -1);
    const extension = extname(path);
    // Somebody else may have put it aside.
    await ifPresent(rename(path, join(dirname(path), `${basename(path, extension)}-${time}${extension}`)));
    this.#size_bytes = 0;
    this.#tend();
  }

  /** Nobody who writes waits for it. */
  #tend(): void {
    this.#tending = this.#tending
      .then(() => this.#prune())
      .catch((error: unknown) => this.#options.report?.(`older files of ${this.#options.path}: ${String(error)}`));
  }

  async #prune(): Promise<void> {
    const { maxAge_days, maxBackups, compresses } = this.#options;
    const backups = (await this.#backups()).sort((a, b) => (a.time < b.time ? 1 : -1));
    const oldest_ms = maxAge_days > 0 ? this.#now_ms() - maxAge_days * DAY_MS : Number.NEGATIVE_INFINITY;
    const times = [...new Set(backups.map(({ time }) => time))];
    for (const { path, time, isCompressed } of backups) {
      const isSurplus = maxBackups > 0 && times.indexOf(time) >= maxBackups;
      if (isSurplus || timeOf(time) < oldest_ms) await rm(path);
      else if (compresses && !isCompressed) await compress(path);
    }
  }

  async #backups(): Promise<Backup[]> {
    const { path } = this.#options;
    const extension = extname(path);
    const prefix = `${basename(path, extension)}-`;
    const names = await readdir(dirname(path));
    return names.flatMap((name): Backup[] => {
      const isCompressed = name.endsWith(packed);
      const plain = isCompressed ? name.slice(0, -packed.length) : name;
      if (!plain.startsWith(prefix) || !plain.endsWith(extension)) return [];
      const time = plain.slice(prefix.length, plain.length - extension.length);
      return timed.test(time) ? [{ path: join(dirname(path), name), time, isCompressed }] : [];
    });
  }

  #now_ms(): number {
    return (this.#options.now_ms ?? Date.now)();
  }
}

const timeOf = (text: string): number => Date.parse(`${text.replace(/T(\d\d)-(\d\d)-/, "T$1:$2:")}Z`);
const timed = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;

/** What a power cut left half done is done anew: the file goes once its compressed form is on the disk. */
async function compress(path: string): Promise<void> {
  const compressed = await open(`${path}${packed}`, "w", mode);
  try {
    await pipeline(createReadStream(path), createGzip(), async (parts: AsyncIterable<Buffer>) => {
      for await (const part of parts) await compressed.writeFile(part);
    });
    await compressed.sync();
  } finally {
    await compressed.close();
  }
  await syncFolder(dirname(path));
  await rm(path);
}
