import { watch } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { errnoOf } from "#shared/files/if-present.ts";
import type { LogOptions } from "../runtime.ts";
import { setAside } from "./log-rotation.ts";

/** One entry of a log in CRI's form: `TIME STREAM F|P TEXT`, where P says that the line goes on in the next entry. */
export interface LogEntry {
  readonly time: string;
  readonly stream: string;
  readonly isPartial: boolean;
  /** With its line end, unless partial. */
  readonly text: Buffer;
}

const chunk_bytes = 64 * 1024;
/** Runtimes cut lines at 16 KiB; what is longer is no log of theirs. */
const longestEntry_bytes = 1024 * 1024;
/** How often a log that is followed is looked at without a word from the kernel, and its container too. */
const look_ms = 1_000;
/** Between the moment at which a log is set aside and that at which the runtime begins another one. */
const beginning_ms = [10, 20, 50, 100, 200, 500, 1_000, 2_000];
const space = 0x20;
const newline = 0x0a;

/** undefined: not in this form. */
export function parseEntry(line: Buffer): LogEntry | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  if (first < 0 || second < 0) return undefined;
  const third = line.indexOf(space, second + 1);
  const tags = line.toString("latin1", second + 1, third < 0 ? line.length : third).split(":");
  const isPartial = tags[0] === "P";
  if (!isPartial && tags[0] !== "F") return undefined;
  const content = third < 0 ? Buffer.alloc(0) : line.subarray(third + 1);
  return {
    time: line.toString("latin1", 0, first),
    stream: line.toString("latin1", first + 1, second),
    isPartial,
    text: isPartial ? content : Buffer.concat([content, Buffer.from("\n")]),
  };
}

/** Where the last `lines` whole lines begin, read from the end; or the first entry of the last `most_bytes`, if that comes sooner. */
async function tailOffset(file: FileHandle, lines: number, most_bytes: number): Promise<number> {
  const { size } = await file.stat();
  if (lines <= 0) return size;
  const first = Math.max(0, size - most_bytes);
  let position = size;
  let wanted = lines;
  let rest = Buffer.alloc(0);
  while (position > first) {
    const length = Math.min(chunk_bytes, position - first);
    position -= length;
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, position);
    rest = Buffer.concat([buffer, rest]);
    // Whole entries of `rest`, the newest first; its first one may begin before it.
    let end = rest.length;
    for (;;) {
      // A negative offset would be one from the end.
      const at = end < 2 ? -1 : rest.lastIndexOf(newline, end - 2);
      const start = at + 1;
      if (at < 0 && position > 0) break;
      const isLineEnd = parseEntry(rest.subarray(start, end - 1))?.isPartial === false;
      if (isLineEnd && wanted-- === 0) return position + end;
      if (at < 0) return 0;
      end = start;
    }
    rest = rest.subarray(0, end);
    if (rest.length > longestEntry_bytes) return position + end;
  }
  // The entry that begins before is cut: the next is whole.
  return first === 0 ? 0 : first + rest.length;
}

/**
 * A container's log file as text. Following ends when `isRunning` says that the container has ended and all is read; a file
 * that was rotated away is left for the one after it, and none of these is left out as long as it is there. Destroying the
 * stream ends it. Rejects with ENOENT where there is no file.
 */
export async function readLogFile(
  path: string,
  options: LogOptions,
  isRunning: () => Promise<boolean>,
): Promise<Readable> {
  const file = await openLog(path);
  const { tailLines = Number.POSITIVE_INFINITY, tail_bytes = Number.POSITIVE_INFINITY } = options;
  const isWhole = tailLines === Number.POSITIVE_INFINITY && tail_bytes === Number.POSITIVE_INFINITY;
  const start = isWhole ? 0 : await tailOffset(file, tailLines, tail_bytes);
  return Readable.from(bounded(format(lines(path, file, start, options.follow, isRunning), options), options), {
    objectMode: false,
  });
}

async function* lines(
  path: string,
  first: FileHandle,
  start: number,
  follow: boolean,
  isRunning: () => Promise<boolean>,
): AsyncGenerator<Buffer> {
  let file = first;
  let position = start;
  let rest = Buffer.alloc(0);
  const changes = follow ? new Changes(path) : undefined;
  try {
    for (;;) {
      // Both asked before the read: what a container that has ended wrote, or a file that was rotated away got, is all there.
      const mayGrow = follow && (await isRunning());
      const next = follow ? await openNext(path, file) : undefined;
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(chunk_bytes), 0, chunk_bytes, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        let begin = 0;
        for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline, begin)) {
          yield rest.subarray(begin, end);
          begin = end + 1;
        }
        rest = rest.subarray(begin);
        if (rest.length > longestEntry_bytes) throw new Error(`${path} is no log of a container runtime`);
      }
      if (next) {
        await file.close();
        [file, position, rest] = [next, 0, Buffer.alloc(0)];
      } else if (mayGrow) {
        await changes?.next();
      } else {
        return;
      }
    }
  } finally {
    changes?.stop();
    await file.close();
  }
}

async function openLog(path: string): Promise<FileHandle> {
  for (const pause_ms of beginning_ms) {
    try {
      return await open(path, "r");
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" || (await setAside(path).catch(() => [])).length === 0) throw error;
    }
    await delay(pause_ms);
  }
  return await open(path, "r");
}

/**
 * What was begun after the file that is open, when that was set aside: the next of those that were so too, or the newest. That
 * one only once it holds something, for until then its runtime may write to the one before.
 */
async function openNext(path: string, file: FileHandle): Promise<FileHandle | undefined> {
  // Between rename and the new file there is none: the next look finds it.
  const [present, known] = await Promise.all([stat(path).catch(() => undefined), file.stat()]);
  if (!present || present.ino === known.ino) return undefined;
  const aside = await setAside(path);
  const inodes = await Promise.all(
    aside.map((each) =>
      stat(each).then(
        ({ ino }) => ino,
        () => undefined,
      ),
    ),
  );
  // Where ours has been removed meanwhile, all that are left were begun after it.
  const next = aside[inodes.indexOf(known.ino) + 1];
  if (next === undefined) return present.size > 0 ? await open(path, "r") : undefined;
  return await open(next, "r").catch(() => undefined);
}

/** Tells that something in a file's folder changed, or that it is time to look. */
class Changes {
  #happened = Promise.withResolvers<void>();
  readonly #watcher: ReturnType<typeof watch>;

  constructor(path: string) {
    this.#watcher = watch(dirname(path), () => this.#happened.resolve());
    // The looks go on without it.
    this.#watcher.on("error", () => undefined);
  }

  async next(): Promise<void> {
    const timer = setTimeout(() => this.#happened.resolve(), look_ms);
    await this.#happened.promise;
    clearTimeout(timer);
    this.#happened = Promise.withResolvers();
  }

  stop(): void {
    this.#watcher.close();
  }
}

async function* format(source: AsyncIterable<Buffer>, options: LogOptions): AsyncGenerator<Buffer> {
  const { stream: wanted = "all", since_ms = Number.NEGATIVE_INFINITY, timestamps } = options;
  /** By stream: whether its last entry goes on. */
  const goesOn = new Map<string, boolean>();
  for await (const line of source) {
    const entry = parseEntry(line);
    if (!entry || (wanted !== "all" && entry.stream !== wanted) || Date.parse(entry.time) < since_ms) continue;
    if (timestamps && !goesOn.get(entry.stream)) yield Buffer.from(`${fixed(entry.time)} `);
    goesOn.set(entry.stream, entry.isPartial);
    yield entry.text;
  }
}

/** With all nine digits of a second, as logs are shown; runtimes leave off noughts at the end. */
const fixed = (time: string): string =>
  time.replace(/(?:\.(\d+))?(?=Z|[+-]\d\d:\d\d$)/, (_, digits = "") => `.${digits.padEnd(9, "0")}`);

async function* bounded(source: AsyncIterable<Buffer>, { limit_bytes = Infinity }: LogOptions): AsyncGenerator<Buffer> {
  let left_bytes = limit_bytes;
  for await (const chunk of source) {
    if (left_bytes <= 0) return;
    if (chunk.length > 0) yield chunk.subarray(0, Math.min(left_bytes, chunk.length));
    left_bytes -= chunk.length;
    if (left_bytes <= 0) return;
  }
}
