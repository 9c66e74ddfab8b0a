import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { link, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const trial_ms = 120_000;

/** This board's program on its disk, as install.sh put it there, and the one before beside it. */
export class InstalledProgram {
  readonly #path: string;

  /** @param path of the program that runs. */
  constructor(path: string = process.execPath) {
    this.#path = path;
  }

  /** Why this program cannot be replaced; undefined when it can. */
  get obstacle(): string | undefined {
    if (basename(this.#path) !== "bramble") return `${this.#path} was not put there by install.sh`;
    try {
      accessSync(dirname(this.#path), constants.W_OK);
      return undefined;
    } catch (error) {
      return `${dirname(this.#path)} cannot be written: ${(error as Error).message}`;
    }
  }

  /** Where a new one is made ready: on the same file system. */
  get staged(): string {
    return join(dirname(this.#path), ".bramble.upgrade");
  }

  get #previous(): string {
    return join(dirname(this.#path), ".bramble.previous");
  }

  async hasPrevious(): Promise<boolean> {
    return stat(this.#previous).then(
      () => true,
      () => false,
    );
  }

  /** Runs what is staged on this processor. @returns what is wrong with it, and removes it then. */
  async tryStaged(wanted: string): Promise<string | undefined> {
    const fault = await this.#faultOfStaged(wanted);
    if (fault !== undefined) await rm(this.staged, { force: true });
    return fault;
  }

  async #faultOfStaged(wanted: string): Promise<string | undefined> {
    try {
      await run(this.staged, ["self-test"], { timeout: trial_ms });
      const { stdout } = await run(this.staged, ["--version"], { timeout: trial_ms });
      return stdout.trim() === wanted ? undefined : `what is called ${wanted} says that it is ${stdout.trim()}`;
    } catch (error) {
      return `it does not run on this board: ${(error as Error).message.trim()}`;
    }
  }

  /** The staged program takes the place of the present one, which is kept. A power cut leaves one of the two in place. */
  async replace(): Promise<void> {
    await rm(this.#previous, { force: true });
    await link(this.#path, this.#previous);
    await rename(this.staged, this.#path);
    await syncFolder(dirname(this.#path));
  }

  /** The one before takes its place again, and what runs now is kept as the one before. */
  async swapBack(): Promise<void> {
    await rm(this.staged, { force: true });
    await link(this.#path, this.staged);
    await rename(this.#previous, this.#path);
    await rename(this.staged, this.#previous);
    await syncFolder(dirname(this.#path));
  }

  /** The one before takes its place again; what was tried is gone. */
  async restore(): Promise<void> {
    await rename(this.#previous, this.#path);
    await syncFolder(dirname(this.#path));
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
