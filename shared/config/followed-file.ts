/** A configuration file that is read again when it has changed. */
import { type FSWatcher, readFileSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Log } from "#shared/client/log.ts";
import type { ConfigurationReloads } from "#shared/metrics/configuration-reloads.ts";
import { ConfigError } from "./option.ts";

export interface FollowedFileOptions<T> {
  readonly path: string;
  /** The setting that names the file, for messages. */
  readonly setting: string;
  /** Throws Error for a text that is no good. `former` is what held until now. */
  readonly parse: (text: string, former: T | undefined) => T;
  /** Told after it was read again. */
  readonly changed?: (() => void) | undefined;
  /** Where it is counted how changes went. */
  readonly reloads?: ConfigurationReloads | undefined;
  readonly log: Log;
}

export class FollowedFile<T> {
  readonly #options: FollowedFileOptions<T>;
  readonly #watcher: FSWatcher;
  #text: string;
  #current: T;

  /** Throws ConfigError for a file that is no good. Later such a change is logged, and what held before holds on. */
  constructor(options: FollowedFileOptions<T>) {
    const { path, setting, parse, log } = options;
    this.#options = options;
    try {
      this.#text = readFileSync(path, "utf8");
      this.#current = parse(this.#text, undefined);
      options.reloads?.holds(this.#text);
    } catch (error) {
      throw new ConfigError(`${setting}: ${path}: ${(error as Error).message}`);
    }
    // Of the folder: an editor puts a new file in the place of the old one, and a mounted ConfigMap a new folder.
    this.#watcher = watch(dirname(path), (_event, changed) => {
      if (changed === basename(path) || changed === "..data") this.reload();
    });
    this.#watcher.on("error", (error) => log.error(`changes of the ${setting} are not seen`, { error }));
  }

  get current(): T {
    return this.#current;
  }

  reload(): void {
    const { path, setting, parse, changed, reloads, log } = this.#options;
    try {
      const text = readFileSync(path, "utf8");
      if (text === this.#text) return;
      this.#current = parse(text, this.#current);
      this.#text = text;
    } catch (error) {
      log.error(`${setting}: what held before holds on`, { path, error });
      reloads?.reloaded("failure");
      return;
    }
    log.info(`${setting} was read again`, { path });
    reloads?.reloaded("success");
    reloads?.holds(this.#text);
    changed?.();
  }

  stop(): void {
    this.#watcher.close();
  }
}
