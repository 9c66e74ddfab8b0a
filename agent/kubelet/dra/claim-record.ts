import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "#shared/client/log.ts";
import { errnoOf } from "#shared/files/if-present.ts";
import type { PreparedDevice } from "./dra-messages.ts";

/** A ResourceClaim that pods of this board use. */
export interface ClaimRecord {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly podUids: readonly string[];
  /** What each driver of the claim gave, by the driver's name; nothing before it was asked. */
  readonly devices: Readonly<Record<string, readonly PreparedDevice[]>>;
}

interface RecordFile {
  readonly claims: readonly ClaimRecord[];
}

/** Which claims drivers may have prepared, on disk before they are asked: an agent that starts anew undoes them. */
export class ClaimRecords {
  #written: Promise<void> = Promise.resolve();

  constructor(
    readonly path: string,
    readonly log: Log,
  ) {}

  /** A damaged file counts as none. */
  async load(): Promise<readonly ClaimRecord[]> {
    try {
      return (JSON.parse(await readFile(this.path, "utf8")) as RecordFile).claims;
    } catch (error) {
      if (errnoOf(error) !== "ENOENT")
        this.log.warn("the record of prepared claims is damaged: it begins anew", { path: this.path, error });
      return [];
    }
  }

  /** Resolves when these are on disk. */
  save(claims: readonly ClaimRecord[]): Promise<void> {
    const text = JSON.stringify({ claims } satisfies RecordFile);
    const write = async (): Promise<void> => {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o750 });
      await writeFile(`${this.path}.new`, text, { mode: 0o600, flush: true });
      await rename(`${this.path}.new`, this.path);
    };
    this.#written = this.#written.then(write, write);
    return this.#written;
  }
}
