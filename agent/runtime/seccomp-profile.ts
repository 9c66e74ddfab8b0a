import { readFile } from "node:fs/promises";
import { RuntimeError } from "./runtime.ts";

/**
 * Text of a seccomp profile on the board. Rejects with RuntimeError (cannot-start) in the words of the runtimes that upstream's
 * kubelet asks: `cannot load seccomp profile "/p.json": open /p.json: no such file or directory`.
 */
export async function readSeccompProfile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const message = `cannot load seccomp profile ${JSON.stringify(path)}: ${fileFault(path, error)}`;
    throw new RuntimeError("cannot-start", message, { cause: error });
  }
}

/** What the kernel's errors are called where libuv has other words than the C library. */
const names: Readonly<Record<string, string>> = {
  EISDIR: "is a directory",
  ELOOP: "too many levels of symbolic links",
  ENAMETOOLONG: "file name too long",
};

/** `ENOENT: no such file or directory, open '/p'` as those runtimes put it, which are written in Go. */
function fileFault(path: string, error: unknown): string {
  const { code = "", message, syscall } = error as NodeJS.ErrnoException;
  const words = names[code] ?? /^E[A-Z0-9]+: (.*?)(?:, \w+(?: '.*')?)?$/.exec(message)?.[1];
  if (words === undefined) return message;
  return `${code === "EISDIR" ? "read" : (syscall ?? "open")} ${path}: ${words}`;
}
