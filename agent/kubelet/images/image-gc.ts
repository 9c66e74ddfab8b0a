import type { ContainerRuntime, ContainerStatus, ImageStatus } from "#agent/runtime/runtime.ts";
import type { Log } from "#shared/client/log.ts";

/** When images go. */
export interface ImageGarbageRules {
  /** At which fraction of the disk in use, 1: never for that. */
  readonly high: number;
  /** Down to which. */
  readonly low: number;
  /** One that has come since stays. */
  readonly youngest_ms: number;
  /** One that was not used for so long goes anyway; 0: none does. */
  readonly oldest_ms: number;
}

export const defaultImageRules: ImageGarbageRules = { high: 0.85, low: 0.8, youngest_ms: 120_000, oldest_ms: 0 };

export interface ImageDisk {
  readonly capacity_bytes: number;
  readonly available_bytes: number;
}

/** Removes images that no container uses when the disk fills up, those unused for longest first. */
export class ImageGarbage {
  readonly #firstSeen_ms = new Map<string, number>();
  readonly #lastUsed_ms = new Map<string, number>();
  readonly #began_ms: number;
  #running = false;

  constructor(
    readonly runtime: ContainerRuntime,
    readonly log: Log,
    /** Whether an image of these names and id stays whatever the disk has left. */
    readonly isKept: (names: readonly string[]) => boolean = () => false,
    readonly rules: ImageGarbageRules = defaultImageRules,
    readonly now_ms: () => number = () => performance.now(),
  ) {
    this.#began_ms = now_ms();
  }

  /** Takes note of which images are in use now. */
  observe(images: readonly ImageStatus[], containers: readonly ContainerStatus[]): void {
    const now_ms = this.now_ms();
    const present = new Set(images.map(({ id }) => id));
    for (const image of images) {
      if (!this.#firstSeen_ms.has(image.id)) this.#firstSeen_ms.set(image.id, now_ms);
      if (containers.some((container) => uses(container, image))) this.#lastUsed_ms.set(image.id, now_ms);
    }
    for (const map of [this.#firstSeen_ms, this.#lastUsed_ms]) {
      for (const id of map.keys()) if (!present.has(id)) map.delete(id);
    }
  }

  /** Frees space when there is need. @returns bytes freed, as far as images tell; undefined: there was nothing to do. */
  async collect(disk: ImageDisk): Promise<number | undefined> {
    const used = 1 - disk.available_bytes / disk.capacity_bytes;
    const { high, low } = this.rules;
    if (this.#running || disk.capacity_bytes === 0 || used < high || high >= 1) return undefined;
    this.#running = true;
    try {
      const [images, containers] = await Promise.all([this.runtime.listImages(), this.runtime.listContainers()]);
      this.observe(images, containers);
      const wanted_bytes = disk.capacity_bytes * (used - low);
      return await this.#free(this.#removable(images, containers), wanted_bytes);
    } finally {
      this.#running = false;
    }
  }

  /** Removes all that nothing uses, whatever the disk has left. */
  async collectUnused(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      const [images, containers] = await Promise.all([this.runtime.listImages(), this.runtime.listContainers()]);
      this.observe(images, containers);
      await this.#free(this.#removable(images, containers), Number.POSITIVE_INFINITY);
    } finally {
      this.#running = false;
    }
  }

  /** Removes what nothing has used for too long, once this has been looked at for so long. */
  async collectOld(images: readonly ImageStatus[], containers: readonly ContainerStatus[]): Promise<void> {
    const { oldest_ms } = this.rules;
    const now_ms = this.now_ms();
    if (oldest_ms === 0 || this.#running || now_ms - this.#began_ms <= oldest_ms) return;
    const old = this.#removable(images, containers).filter(
      ({ id }) => now_ms - Math.max(this.#lastUsed_ms.get(id) ?? 0, this.#firstSeen_ms.get(id) ?? now_ms) > oldest_ms,
    );
    await this.#free(old, Number.POSITIVE_INFINITY);
  }

  /** Why the disk stays fuller than it should, though so much was freed; undefined when it does not. */
  shortfall(disk: ImageDisk, freed_bytes: number): string | undefined {
    return shortfall(disk, freed_bytes, this.rules.low);
  }

  #removable(images: readonly ImageStatus[], containers: readonly ContainerStatus[]): ImageStatus[] {
    const now_ms = this.now_ms();
    return images
      .filter(
        (image) =>
          !image.pinned &&
          !this.isKept([image.id, ...image.tags]) &&
          !containers.some((container) => uses(container, image)),
      )
      .filter(({ id }) => now_ms - (this.#firstSeen_ms.get(id) ?? now_ms) >= this.rules.youngest_ms)
      .sort((a, b) => (this.#lastUsed_ms.get(a.id) ?? 0) - (this.#lastUsed_ms.get(b.id) ?? 0));
  }

  async #free(images: readonly ImageStatus[], wanted_bytes: number): Promise<number> {
    let freed_bytes = 0;
    for (const { id, size_bytes, tags } of images) {
      if (freed_bytes >= wanted_bytes) break;
      try {
        await this.runtime.removeImage(id);
        freed_bytes += size_bytes;
        this.log.info("an unused image is removed", { image: tags[0] ?? id });
      } catch (error) {
        // Taken into use meanwhile, or shared: the next one may do.
        this.log.debug("an image could not be removed", { image: id, error });
      }
    }
    return freed_bytes;
  }
}

function shortfall(
  { capacity_bytes, available_bytes }: ImageDisk,
  freed_bytes: number,
  low: number,
): string | undefined {
  if (available_bytes + freed_bytes >= capacity_bytes * (1 - low)) return undefined;
  const used_percent = 100 - Math.floor((available_bytes * 100) / capacity_bytes);
  return (
    `Insufficient free disk space on the node's image filesystem (${used_percent}% of ${sizeText(capacity_bytes)} used). ` +
    `Failed to free sufficient space by deleting unused images (freed ${freed_bytes} bytes). ` +
    "Investigate disk usage, as it could be used by active images, logs, volumes, or other data."
  );
}

function sizeText(size_bytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  if (size_bytes < 1024) return `${Math.floor(size_bytes)} B`;
  const power = Math.min(units.length, Math.floor(Math.log2(size_bytes) / 10));
  return `${(size_bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}

/** Ended containers count: their image is needed to start them again, and Docker would refuse. */
function uses(container: ContainerStatus, image: ImageStatus): boolean {
  return (
    container.imageId === image.id ||
    container.image === image.id ||
    image.digests.includes(container.imageId) ||
    image.tags.includes(container.image)
  );
}
