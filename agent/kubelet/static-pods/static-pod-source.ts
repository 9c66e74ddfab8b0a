import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { PromptedLoop } from "#shared/client/prompted-loop.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { errnoOf, ifPresent } from "#shared/files/if-present.ts";
import { podUid } from "../pod-containers.ts";
import { parseStaticPods } from "./static-pod.ts";

/** A file is written in several steps: it is looked at when they are over. */
const settle_ms = 250;
/** The folder is looked at so often though nothing tells of a change (upstream's fileCheckFrequency): it may have been made anew. */
const recheck_ms = 20_000;

interface FoundPod {
  readonly pod: Pod;
  /** Of its manifest. */
  readonly path: string;
}

/** Follows a folder of manifests: what is in it runs on this board, with or without a master. */
export class StaticPodSource {
  /** By UID. */
  #present: ReadonlyMap<string, FoundPod> = new Map();
  /** Why files are left out, by their paths: told once. */
  #leftOut: ReadonlyMap<string, string> = new Map();
  #watcher: FSWatcher | undefined;
  #cancelSettle: (() => void) | undefined;
  readonly #loop: PromptedLoop;
  readonly #trouble: StandingTrouble;

  constructor(
    readonly folder: string,
    readonly nodeName: string,
    readonly handlers: { readonly add: (pod: Pod) => void; readonly remove: (pod: Pod) => void },
    readonly log: Log,
    readonly clock: Clock = systemClock,
  ) {
    this.#loop = new PromptedLoop(() => this.#look(), clock);
    this.#trouble = new StandingTrouble(log, {
      wrong: "manifests cannot be read: what runs of them goes on",
      over: "manifests can be read again",
    });
  }

  /** Resolves when the manifests that are there have been read. */
  async start(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.#look();
    this.#watch();
    this.#loop.prompt();
  }

  async stop(): Promise<void> {
    this.#watcher?.close();
    this.#cancelSettle?.();
    await this.#loop.stop();
  }

  /** Without it, as where the kernel's watches are used up, changes are found by the next look. */
  #watch(): void {
    const failed = (error: unknown): void =>
      this.log.warn("the folder of manifests is not watched, and looked at now and then", {
        folder: this.folder,
        error,
      });
    try {
      this.#watcher = watch(this.folder, () => {
        this.#cancelSettle?.();
        this.#cancelSettle = this.clock.after(settle_ms, () => this.#loop.prompt());
      });
      this.#watcher.on("error", failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Reads the folder again. Never rejects. */
  async #look(): Promise<number> {
    try {
      this.#settle(await this.#read());
    } catch (error) {
      this.#trouble.tell(error);
    }
    return recheck_ms;
  }

  /** A file that holds no pod is told of and keeps nothing running; one that could not be read changes nothing. */
  async #read(): Promise<ReadonlyMap<string, FoundPod>> {
    const found = new Map<string, FoundPod>();
    const leftOut = new Map<string, string>();
    let unreadable: unknown;
    for (const name of ((await ifPresent(readdir(this.folder))) ?? []).sort()) {
      if (name.startsWith(".") || !/\.(ya?ml|json|manifest)$/.test(name)) continue;
      const path = join(this.folder, name);
      try {
        const text = await textOf(path);
        for (const pod of this.#parse(path, text, leftOut)) found.set(podUid(pod), { pod, path });
      } catch (error) {
        unreadable = error;
        for (const [uid, before] of this.#present) if (before.path === path) found.set(uid, before);
      }
    }
    this.#leftOut = leftOut;
    if (unreadable === undefined) this.#trouble.end();
    else this.#trouble.tell(unreadable);
    return found;
  }

  #parse(path: string, text: string | undefined, leftOut: Map<string, string>): Pod[] {
    if (text === undefined) return [];
    try {
      return parseStaticPods(text, path, this.nodeName);
    } catch (error) {
      const why = messageOf(error);
      leftOut.set(path, why);
      if (this.#leftOut.get(path) !== why) this.log.warn("a manifest is left out", { path, why });
      return [];
    }
  }

  #settle(wanted: ReadonlyMap<string, FoundPod>): void {
    const before = this.#present;
    this.#present = wanted;
    for (const [uid, { pod }] of before) if (!wanted.has(uid)) this.handlers.remove(pod);
    for (const [uid, { pod }] of wanted) if (!before.has(uid)) this.handlers.add(pod);
  }
}

/** undefined: there is no file of that name, or no longer. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    return await ifPresent(readFile(path, "utf8"));
  } catch (error) {
    if (errnoOf(error) === "EISDIR") return undefined;
    throw error;
  }
}
