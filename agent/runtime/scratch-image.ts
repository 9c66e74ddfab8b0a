import { createHash } from "node:crypto";
import { type TarEntry, tarArchive } from "./tar.ts";

export interface ScratchImage {
  /** Name with tag, as `docker load` will show it. */
  readonly reference: string;
  /** GOARCH. */
  readonly architecture: string;
  readonly entries: readonly TarEntry[];
  /** The image's config: Entrypoint, Cmd, Env, User, … */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * An image of one layer, as the tar that `docker load` reads (format: the image specification v1.2 of moby,
 * manifest.json). Made in memory and reproducibly: equal input gives the same image id on every board.
 */
export function scratchImageArchive(image: ScratchImage): Uint8Array<ArrayBuffer> {
  const layer = tarArchive(image.entries);
  const layerDigest = sha256(layer);
  const config = imageConfig(image, layerDigest);
  const configName = `${sha256(Buffer.from(config))}.json`;
  const layerName = `${layerDigest}/layer.tar`;
  const manifest = [{ Config: configName, RepoTags: [image.reference], Layers: [layerName] }];
  return tarArchive([
    { path: configName, content: config },
    { path: layerDigest, type: "directory" },
    { path: layerName, content: layer },
    { path: "manifest.json", content: JSON.stringify(manifest) },
  ]);
}

/** The JSON that names an image: how it runs, and the digest of its one layer. */
export function imageConfig(
  { architecture, config }: Pick<ScratchImage, "architecture" | "config">,
  layerDigest: string,
): string {
  return JSON.stringify({
    architecture,
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config,
    rootfs: { type: "layers", diff_ids: [`sha256:${layerDigest}`] },
    history: [{ created: "1970-01-01T00:00:00Z", created_by: "bramble" }],
  });
}

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
