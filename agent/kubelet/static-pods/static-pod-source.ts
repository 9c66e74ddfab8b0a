import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { podUid } from "../pod-containers.ts";
import { ManifestError, parseStaticPods } from "./static-pod.ts";

const settle_ms = 250;

/** Follows a folder of manifests: what is in it runs on this board, with or without a master. */
export class StaticPodSource {
  readonly #present = new Map<string, Pod>();
  #watcher: FSWatcher | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #scanning: Promise<void> = Promise.resolve();

  constructor(
    readonly folder: string,
    readonly nodeName: string,
    readonly handlers: { readonly add: (pod: Pod) => void; readonly remove: (pod: Pod) => void },
    readonly log: Log,
  ) {}

  async start(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    // A file is written in several steps: look when they are over.
    this.#watcher = watch(this.folder, () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.scan(), settle_ms);
    });
    await this.scan();
  }

  stop(): void {
    this.#watcher?.close();
    clearTimeout(this.#timer);
  }

  /** Reads the folder again. A file that cannot be read keeps nothing running and is told in the log. */
  async scan(): Promise<void> {
    this.#scanning = this.#scanning.then(() => this.#scan());
    await this.#scanning;
  }

  async #scan(): Promise<void> {
    const wanted = new Map<string, Pod>();
    for (const name of (await readdir(this.folder).catch(() => [])).sort()) {
      if (name.startsWith(".") || !/\.(ya?ml|json|manifest)$/.test(name)) continue;
      const path = join(this.folder, name);
      try {
        for (const pod of parseStaticPods(await readFile(path, "utf8"), path, this.nodeName)) {
          wanted.set(podUid(pod), pod);
        }
      } catch (error) {
        const why = error instanceof ManifestError ? error.message : String(error);
        this.log.warn("a manifest is left out", { path, why });
      }
    }
    for (const [uid, pod] of this.#present) {
      if (wanted.has(uid)) continue;
      this.#present.delete(uid);
      this.handlers.remove(pod);
    }
    for (const [uid, pod] of wanted) {
      if (this.#present.has(uid)) continue;
      this.#present.set(uid, pod);
      this.handlers.add(pod);
    }
  }
}
