import { type FileHandle, open } from "node:fs/promises";
import { parseDocument } from "yaml";
import { nodes } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";

export interface UsedToken {
  /** A file of settings, and files of flags as a shell reads them (`*.env`). */
  readonly files: readonly string[];
  /** By the board's certificate. */
  readonly client: Client;
  readonly nodeName: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const firstRetry_ms = 5_000;
const longestRetry_ms = 600_000;
const note = "# The join token was removed: this board has joined.\n";

/**
 * Removes the join token from a board's files once the cluster answers it by its certificate: whoever steals the card finds none
 * by which further boards could join. Waits for that until the signal ends it. Never rejects; a file that cannot be changed is told.
 */
export async function forgetJoinToken(used: UsedToken): Promise<void> {
  const { files, log, signal } = used;
  try {
    await forget(used);
  } catch (error) {
    if (signal.aborted) return;
    const advice = "delete the line, or end the token by `bramble token revoke` on the master";
    log.warn(`this board's join token stays in its files: ${advice}`, { error, files: files.join(",") });
  }
}

async function forget({ files, client, nodeName, log, signal }: UsedToken): Promise<void> {
  const holding = await Promise.all(
    files.map(async (file) => [file, withoutToken(file, await readIfPresent(file))] as const),
  );
  if (holding.every(([, rest]) => rest === undefined)) return;
  await untilTakenIn(client, nodeName, signal);
  for (const file of files) {
    // As it is now: a person may have written to it meanwhile.
    const rest = withoutToken(file, await readIfPresent(file));
    if (rest === undefined) continue;
    await replaceAndErase(file, rest);
    log.info("this board has joined: its join token is removed from the card", { file });
  }
}

async function untilTakenIn(client: Client, nodeName: string, signal: AbortSignal): Promise<void> {
  for (let retry_ms = firstRetry_ms; ; retry_ms = Math.min(retry_ms * 2, longestRetry_ms)) {
    try {
      await client.get(nodes, { name: nodeName });
      return;
    } catch {
      // The master is away, or does not know the Node or the certificate yet: as long as that is so, the token may be needed.
      await pause(systemClock, retry_ms, signal);
      signal.throwIfAborted();
    }
  }
}

/** What is left of a file's text without its join token; undefined where it holds none. */
export function withoutToken(file: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (file.endsWith(".env")) {
    const rest = text.replaceAll(/ ?--token(?:=|\s+)[^\s"']+/g, "").replaceAll(/(BRAMBLE_ARGS=") /g, "$1");
    return rest === text ? undefined : rest;
  }
  const document = parseDocument(text.replaceAll(note, ""));
  if (document.errors.length > 0 || !document.has("token") || document.get("token") === "") return undefined;
  document.delete("token");
  const rest = document.contents && document.toJS() !== null && !isEmpty(document.toJS()) ? document.toString() : "";
  return `${rest}${note}`;
}

const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0;

/** By rename, so that a power cut leaves the old file or the new one; then what the old one's blocks hold is overwritten. */
async function replaceAndErase(file: string, text: string): Promise<void> {
  const old = await open(file, "r+");
  try {
    await writeSecureFile(file, text);
    await erase(old);
  } finally {
    await old.close();
  }
}

async function erase(file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  await file.write(Buffer.alloc(size), 0, size, 0);
  await file.datasync();
}
