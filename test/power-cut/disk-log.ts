/**
 * What a traced process did to a folder, read from strace's output (`-f -y -xx`): writes with their content, and the
 * barriers between them. Order is that of strace, which sees one system call at a time.
 */

import { dirname } from "node:path";

/** One step as the disk sees it. Paths are absolute. */
export type DiskStep =
  | { readonly step: "create"; readonly path: string }
  | { readonly step: "folder"; readonly path: string }
  | { readonly step: "write"; readonly path: string; readonly at: number; readonly data: Buffer }
  | { readonly step: "truncate"; readonly path: string; readonly size: number }
  | { readonly step: "rename"; readonly from: string; readonly to: string }
  /** A second name of a file. */
  | { readonly step: "link"; readonly from: string; readonly to: string }
  | { readonly step: "remove"; readonly path: string }
  /** What was written to the path before, or done to the entries of a folder, is on the disk; for one that other calls went beside,
   *  what was written before it began. */
  | { readonly step: "sync"; readonly path: string; readonly begun?: number }
  | { readonly step: "sync begins"; readonly path: string; readonly begun: number }
  | { readonly step: "sync everything" }
  /** A line that the traced program wrote to its notes: what it was told. */
  | { readonly step: "note"; readonly text: string };

/** Calls that change files; anything else of strace's output is passed over. */
export const tracedCalls = [
  "open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,sendfile,copy_file_range,fallocate",
  "ftruncate,truncate,fsync,fdatasync,sync,syncfs,rename,renameat,renameat2,unlink,unlinkat",
  "mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,chdir,fchdir",
].join(",");

export class UnknownStepError extends Error {
  override readonly name = "UnknownStepError";
}

/** The steps below `root`, and the notes. Throws UnknownStepError for a call there that is not modelled. */
export function readDiskLog(log: string, root: string, notesPath: string): DiskStep[] {
  const reader = new DiskLogReader(root, notesPath);
  for (const line of wholeCalls(log)) reader.take(line);
  return reader.steps;
}

/** One line a call. A call that was interrupted by another's line stands where it began: what it wrote may have been on
 *  the disk from then on. A barrier counts from its end, for what was there when it began: both are told, the result being `begun:N` and
 *  `ended:N`. */
function wholeCalls(log: string): string[] {
  const lines: (string | undefined)[] = [];
  const begun = new Map<string, { readonly at: number; readonly text: string }>();
  for (const line of log.split("\n")) {
    const [, pid = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    if (rest.endsWith(" <unfinished ...>")) {
      begun.set(pid, { at: lines.length, text: rest.slice(0, -" <unfinished ...>".length) });
      lines.push(undefined);
    } else if (resumed) {
      const begin = begun.get(pid);
      if (!begin) continue;
      begun.delete(pid);
      const whole = begin.text + resumed[1];
      if (/^(fsync|fdatasync)\(.* = 0/.test(whole)) {
        lines[begin.at] = `${begin.text}) = begun:${begin.at}`;
        lines.push(whole.replace(/ = 0.*$/, ` = ended:${begin.at}`));
      } else if (/^(fsync|fdatasync|sync|syncfs)\(/.test(whole)) lines.push(whole);
      else lines[begin.at] = whole;
    } else lines.push(rest);
  }
  // Ended by SIGKILL in the middle: a write may have happened as well as not.
  for (const { at, text } of begun.values()) if (/^p?write/.test(text)) lines[at] = `${text}) = ?`;
  return lines.filter((line) => line !== undefined);
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll("\\x", ""), "hex");
const textOf = (quoted: string): string => hex(quoted).toString("utf8");

class DiskLogReader {
  readonly steps: DiskStep[] = [];
  readonly #present = new Set<string>();
  /** Where the next plain write to a path goes. */
  readonly #offsets = new Map<string, number>();

  constructor(
    private readonly root: string,
    private readonly notesPath: string,
  ) {}

  take(line: string): void {
    const [, call, args = "", result = ""] = /^(\w+)\((.*)\) += (\S+)/s.exec(line) ?? [];
    if (call === undefined || result === "-1") return;
    switch (call) {
      case "open":
      case "openat":
        this.#open(args);
        return;
      case "mkdir":
      case "mkdirat": {
        const path = pathsOf(args)[0] ?? "";
        if (this.#isOurs(path)) this.#folder(path);
        return;
      }
      case "write":
      case "pwrite64":
        this.#write(call, args, result);
        return;
      case "ftruncate":
      case "truncate": {
        const path = call === "truncate" ? (pathsOf(args)[0] ?? "") : descriptorOf(args);
        if (this.#isOurs(path))
          this.steps.push({ step: "truncate", path, size: Number(/, (\d+)$/.exec(args)?.[1] ?? 0) });
        return;
      }
      case "fsync":
      case "fdatasync": {
        const path = descriptorOf(args);
        if (!this.#isOurs(path) && path !== this.root) return;
        const [when, begun = 0] = result.split(":");
        if (when === "begun") this.steps.push({ step: "sync begins", path, begun: Number(begun) });
        else this.steps.push({ step: "sync", path, ...(when === "ended" ? { begun: Number(begun) } : {}) });
        return;
      }
      case "sync":
      case "syncfs":
        this.steps.push({ step: "sync everything" });
        return;
      case "rename":
      case "renameat":
      case "renameat2":
        this.#rename(args);
        return;
      case "link":
      case "linkat":
        this.#link(args);
        return;
      case "unlink":
      case "unlinkat":
      case "rmdir": {
        const path = pathsOf(args)[0] ?? "";
        if (this.#isOurs(path)) this.#remove(path);
        return;
      }
      case "chdir":
      case "fchdir":
        return;
      default:
        if (args.includes(hexOf(this.root))) throw new UnknownStepError(`${call} below ${this.root} is not modelled`);
    }
  }

  #isOurs(path: string): boolean {
    return path.startsWith(`${this.root}/`) && !path.endsWith("-shm") && !path.endsWith(" (deleted)");
  }

  /** Lines of two threads may stand the wrong way round: a folder is made before what is in it. */
  #folder(path: string): void {
    if (path === this.root || this.#present.has(path)) return;
    this.#folder(dirname(path));
    this.#present.add(path);
    this.steps.push({ step: "folder", path });
  }

  #open(args: string): void {
    const path = pathsOf(args)[0] ?? "";
    const [, flags = ""] = /", ([A-Z_|]+)/.exec(args) ?? [];
    if (!this.#isOurs(path) || !/O_WRONLY|O_RDWR/.test(flags)) return;
    if (!this.#present.has(path)) {
      if (!flags.includes("O_CREAT")) return;
      this.#folder(dirname(path));
      this.#present.add(path);
      this.steps.push({ step: "create", path });
    } else if (flags.includes("O_TRUNC")) this.steps.push({ step: "truncate", path, size: 0 });
    this.#offsets.set(path, flags.includes("O_APPEND") ? (this.#offsets.get(path) ?? 0) : 0);
  }

  #write(call: string, args: string, result: string): void {
    const path = descriptorOf(args);
    const [, quoted = "", more = ""] = /^[^,]*, "([^"]*)"(.*)$/s.exec(args) ?? [];
    if (path === this.notesPath) {
      for (const text of textOf(quoted).split("\n")) if (text !== "") this.steps.push({ step: "note", text });
      return;
    }
    if (!this.#isOurs(path)) return;
    const whole = hex(quoted);
    const data = result === "?" ? whole : whole.subarray(0, Number(result));
    const at = call === "pwrite64" ? Number(/(\d+)$/.exec(more)?.[1]) : (this.#offsets.get(path) ?? 0);
    if (call === "write") this.#offsets.set(path, at + data.length);
    this.steps.push({ step: "write", path, at, data });
  }

  #rename(args: string): void {
    const [from = "", to = ""] = pathsOf(args);
    if (this.#isOurs(from) !== this.#isOurs(to)) throw new UnknownStepError(`a rename out of or into ${this.root}`);
    if (!this.#isOurs(from)) return;
    this.#present.delete(from);
    this.#present.add(to);
    this.#offsets.set(to, this.#offsets.get(from) ?? 0);
    this.steps.push({ step: "rename", from, to });
  }

  #link(args: string): void {
    const [from = "", to = ""] = pathsOf(args);
    if (!this.#isOurs(to)) return;
    if (!this.#isOurs(from)) throw new UnknownStepError(`a link into ${this.root}`);
    this.#present.add(to);
    this.steps.push({ step: "link", from, to });
  }

  #remove(path: string): void {
    this.#present.delete(path);
    this.steps.push({ step: "remove", path });
  }
}

const hexOf = (path: string): string =>
  [...Buffer.from(path)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");

/** The path behind the first argument, a file descriptor. */
const descriptorOf = (args: string): string => textOf(/^\d+<([^>]*)>/.exec(args)?.[1] ?? "");

/** Paths among the arguments, made absolute by the folder that stands before them. */
function pathsOf(args: string): string[] {
  const found = [...args.matchAll(/(?:(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, )?"([^"]*)"/g)];
  return found.map(([, folder = "", quoted = ""]) => {
    const path = textOf(quoted);
    return path.startsWith("/") ? path : `${textOf(folder)}/${path}`;
  });
}
