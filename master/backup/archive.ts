/**
 * A cluster in one file: gzip of lines of JSON. The first line says what it is and holds the keys, one line for each object
 * follows, and the last line counts them, so that a file that was cut short is not taken for a whole one. Values are as they
 * rest in the store (open-backup.ts reads them): by the cluster's own keys, which the file holds, or by what a person's own
 * EncryptionConfiguration names, which it does not.
 */
import { createReadStream, createWriteStream, mkdirSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { errnoOf } from "#shared/files/if-present.ts";
import type { StateItem } from "../store/transfer.ts";

const format = "bramble-backup/2";
/** Of older versions: values in plain text. */
const plainFormat = "bramble-backup/1";

export interface BackupHeader {
  /** No revision that the cluster has given out is higher. */
  readonly revision: number;
  readonly madeAt: string;
  readonly version: string;
  /** Texts by their path below the data folder. */
  readonly files: Readonly<Record<string, string>>;
}

export interface Backup {
  readonly header: BackupHeader;
  /** Values are in plain text. Else they are as they rest. */
  readonly isPlain: boolean;
  readonly state: AsyncIterable<StateItem>;
}

export class BackupError extends Error {
  override readonly name = "UserError";
}

/** Writes a backup (mode 0600), whole or not at all. Gives the number of objects. */
export async function writeBackup(
  path: string,
  header: BackupHeader,
  state: AsyncIterable<StateItem>,
): Promise<number> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.partial`;
  await rm(partial, { force: true });
  let count = 0;
  async function* lines(): AsyncGenerator<string> {
    yield `${JSON.stringify({ format, ...header })}\n`;
    for await (const { key, value } of state) {
      count += 1;
      yield `${JSON.stringify({ key, value })}\n`;
    }
    yield `${JSON.stringify({ count })}\n`;
  }
  try {
    await pipeline(Readable.from(lines()), createGzip(), createWriteStream(partial, { flags: "wx", mode: 0o600 }));
    await synced(partial);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await rename(partial, path);
  await synced(dirname(path));
  return count;
}

/** On the disk, whatever happens to the power now. */
async function synced(path: string): Promise<void> {
  const handle = await open(path, "r");
  await handle.sync().finally(() => handle.close());
}

/** Reads a backup. The items must be read to their end, which is where a file that was cut short shows. Throws BackupError. */
export async function readBackup(path: string): Promise<Backup> {
  const lines = linesOf(path)[Symbol.asyncIterator]();
  const first = await lines.next();
  const header = (first.done ? {} : parse(path, first.value)) as Partial<BackupHeader> & { format?: string };
  if (header.format !== format && header.format !== plainFormat)
    throw new BackupError(`${path} is no backup that this version of Bramble reads`);
  async function* state(): AsyncGenerator<StateItem> {
    let count = 0;
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      const item = parse(path, line.value) as StateItem | { readonly count: number };
      if ("count" in item) {
        if (item.count !== count) throw new BackupError(`${path} lacks objects: ${count} of ${item.count} are there`);
        return;
      }
      count += 1;
      yield item;
    }
    throw new BackupError(`${path} is cut short after ${count} objects`);
  }
  return { header: header as BackupHeader, isPlain: header.format === plainFormat, state: state() };
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const source = createReadStream(path);
  const unzipped = source.pipe(createGunzip());
  source.on("error", (error) => unzipped.destroy(error));
  try {
    yield* createInterface({ input: unzipped, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    if (errnoOf(error) === "Z_DATA_ERROR")
      throw new BackupError(`${path} is no backup, or is damaged`, { cause: error });
    throw new BackupError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  } finally {
    source.destroy();
  }
}

function parse(path: string, line: string): object {
  try {
    return JSON.parse(line) as object;
  } catch (cause) {
    throw new BackupError(`${path} is damaged`, { cause });
  }
}
