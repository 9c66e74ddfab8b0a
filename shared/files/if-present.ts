import { readFile } from "node:fs/promises";

/** The name of the errno (`ENOENT`, …) that a file, a process or a connection failed with; undefined for other errors. */
export const errnoOf = (error: unknown): string | undefined => {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
};

/** What `reading` a file or folder gives; undefined when there is none. Rejects with any other error. */
export async function ifPresent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The same for a read that blocks. Throws any other error. */
export function ifPresentSync<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Text of a file; undefined when there is none. */
export const readIfPresent = (path: string): Promise<string | undefined> => ifPresent(readFile(path, "utf8"));
