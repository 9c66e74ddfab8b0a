import { createReadStream } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Log } from "#shared/client/log.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";

/** Image archives as `docker save` makes them, by how they are compressed. Older Dockers know no zstd. */
const openers: Readonly<Record<string, (file: Readable) => Readable>> = {
  ".tar": (file) => file,
  ".tar.gz": (file) => unpacked(file, createGunzip()),
  ".tgz": (file) => unpacked(file, createGunzip()),
  ".tar.zst": (file) => unpacked(file, createZstdDecompress()),
};

/** What was read of an archive; another size or time is another archive. */
interface Loaded {
  readonly size_bytes: number;
  readonly modified_ms: number;
  /** As the runtime calls what it brought. */
  readonly images: readonly string[];
}

/**
 * A folder of image archives that a board has without a registry, as k3s' agent/images: read into the runtime at the start when
 * they are new or their images are gone, and kept from being removed as long as the archive is there.
 */
export class ImageFolder {
  readonly #loaded = new Map<string, Loaded>();

  constructor(
    private readonly options: {
      readonly folder: string;
      /** Where is noted what was read. */
      readonly noteFile: string;
      readonly runtime: ContainerRuntime;
      readonly log: Log;
      readonly signal: AbortSignal;
    },
  ) {}

  /** Whether an archive brought an image of one of these names or ids. */
  keeps(names: readonly string[]): boolean {
    for (const { images } of this.#loaded.values()) if (images.some((image) => names.includes(image))) return true;
    return false;
  }

  /** Never rejects: an archive that cannot be read is told, and the others are read. */
  async load(): Promise<void> {
    const { folder, log, signal } = this.options;
    try {
      await this.#readNotes();
      const present = await this.#presentImages();
      for (const file of (await readdir(folder)).sort()) {
        if (signal.aborted) return;
        // A download that was cut.
        if (file.startsWith(".")) continue;
        const opener = openers[/(\.tar|\.tgz)(\.gz|\.zst)?$/.exec(file)?.[0] ?? ""];
        if (opener) await this.#loadFile(file, opener, present);
      }
    } catch (error) {
      log.error("image archives cannot be read", { folder, error });
    }
  }

  async #loadFile(file: string, opener: (file: Readable) => Readable, present: ReadonlySet<string>): Promise<void> {
    const { folder, runtime, log } = this.options;
    const path = join(folder, file);
    try {
      const { size: size_bytes, mtimeMs: modified_ms } = await stat(path);
      const known = this.#loaded.get(file);
      const isSame = known?.size_bytes === size_bytes && known.modified_ms === modified_ms;
      if (isSame && known.images.every((image) => present.has(image))) return;
      log.info("reading an image archive", { path, bytes: size_bytes });
      const images = await runtime.loadImage(opener(createReadStream(path)));
      this.#loaded.set(file, { size_bytes, modified_ms, images });
      log.info("an image archive was read", { path, images: images.join(",") });
      await this.#writeNotes();
    } catch (error) {
      log.error("an image archive cannot be read", { path, error });
    }
  }

  async #presentImages(): Promise<ReadonlySet<string>> {
    return new Set((await this.options.runtime.listImages()).flatMap(({ id, tags }) => [id, ...tags]));
  }

  async #readNotes(): Promise<void> {
    const text = await readIfPresent(this.options.noteFile);
    if (text === undefined) return;
    const files = new Set(await readdir(this.options.folder));
    try {
      for (const [file, loaded] of Object.entries(JSON.parse(text) as Record<string, Loaded>))
        if (files.has(file) && Array.isArray(loaded.images)) this.#loaded.set(file, loaded);
    } catch (error) {
      this.options.log.warn("the note of image archives is damaged: they are read again", { error });
    }
  }

  async #writeNotes(): Promise<void> {
    await mkdir(join(this.options.noteFile, ".."), { recursive: true });
    await writeSecureFile(this.options.noteFile, `${JSON.stringify(Object.fromEntries(this.#loaded))}\n`);
  }
}

/** A file that is cut short or no archive ends the stream with its error. */
function unpacked<T extends NodeJS.ReadWriteStream & Readable>(file: Readable, through: T): Readable {
  file.on("error", (error) => through.destroy(error));
  through.on("close", () => file.destroy());
  return file.pipe(through);
}
