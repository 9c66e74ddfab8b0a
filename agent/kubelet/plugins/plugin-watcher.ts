import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import type { Log } from "#shared/client/log.ts";
import { PromptedLoop } from "#shared/client/prompted-loop.ts";
import { ifPresent } from "#shared/files/if-present.ts";

export interface PluginWatcherOptions {
  /** Where plug-ins put their sockets: /var/lib/kubelet/plugins_registry. */
  readonly folder: string;
  readonly log: Log;
  /** A socket is there. Resolves when its plug-in is registered; gives what takes that back. */
  register(socket: string): Promise<() => Promise<void>>;
}

interface Known {
  /** Another one means that the plug-in has started anew. */
  readonly identity: string;
  deregister: (() => Promise<void>) | undefined;
  retry: ReturnType<typeof setTimeout> | undefined;
  failures: number;
}

const firstRetry_ms = 500;
const longestRetry_ms = 122_000;
/** Sockets that are looked after at most: each costs tries. */
const mostSockets = 256;

/**
 * Registers plug-ins as their sockets appear in a folder, and takes them off as they vanish. Level-based: an event of
 * the kernel (inotify) only prompts a look at the folder. A socket whose plug-in does not answer is tried again, ever
 * more seldom, for as long as it stands.
 */
export class PluginWatcher {
  readonly #options: PluginWatcherOptions;
  readonly #known = new Map<string, Known>();
  #watcher: FSWatcher | undefined;
  readonly #loop = new PromptedLoop(() => this.#look());

  constructor(options: PluginWatcherOptions) {
    this.#options = options;
  }

  /** Rejects when the folder cannot be made or watched. */
  async start(): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true, mode: 0o750 });
    this.#watcher = watch(this.#options.folder, () => this.#loop.prompt());
    this.#watcher.on("error", (error) => this.#options.log.warn("plug-ins are not watched any more", { error }));
    this.#loop.prompt();
  }

  async stop(): Promise<void> {
    this.#loop.end();
    this.#watcher?.close();
    for (const { retry } of this.#known.values()) clearTimeout(retry);
    await this.#loop.stop();
  }

  async #look(): Promise<undefined> {
    try {
      await this.#reconcile(await this.#sockets());
    } catch (error) {
      this.#options.log.warn("the folder of plug-ins cannot be read", { error });
    }
  }

  async #sockets(): Promise<ReadonlyMap<string, string>> {
    const { folder } = this.#options;
    const found = new Map<string, string>();
    for (const name of (await readdir(folder)).toSorted()) {
      if (name.startsWith(".") || found.size === mostSockets) continue;
      const path = join(folder, name);
      const info = await ifPresent(stat(path));
      if (info?.isSocket()) found.set(path, `${info.ino}/${info.birthtimeMs}/${info.ctimeMs}`);
    }
    return found;
  }

  async #reconcile(sockets: ReadonlyMap<string, string>): Promise<void> {
    for (const [path, known] of this.#known) {
      if (sockets.get(path) === known.identity) continue;
      clearTimeout(known.retry);
      this.#known.delete(path);
      // A plug-in that has only started anew keeps its place until it has registered again.
      if (!sockets.has(path)) await this.#deregister(path, known);
    }
    for (const [path, identity] of sockets) {
      if (this.#known.has(path)) continue;
      const known: Known = { identity, deregister: undefined, retry: undefined, failures: 0 };
      this.#known.set(path, known);
      void this.#register(path, known);
    }
  }

  async #register(path: string, known: Known): Promise<void> {
    const { log } = this.#options;
    try {
      const deregister = await this.#options.register(path);
      known.deregister = deregister;
      // Gone in the meantime.
      if (!this.#known.has(path) && !this.#loop.hasEnded) await this.#deregister(path, known);
    } catch (error) {
      if (this.#known.get(path) !== known || this.#loop.hasEnded) return;
      const delay_ms = exponentialDelay_ms(known.failures++, firstRetry_ms, longestRetry_ms);
      log.warn("a plug-in could not be registered", { socket: path, error, tryAgainIn_ms: delay_ms });
      known.retry = setTimeout(() => void this.#register(path, known), delay_ms);
    }
  }

  async #deregister(path: string, { deregister }: Known): Promise<void> {
    try {
      await deregister?.();
    } catch (error) {
      this.#options.log.warn("a plug-in that has gone could not be taken off", { socket: path, error });
    }
  }
}
