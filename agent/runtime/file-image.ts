import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { imageConfig } from "./scratch-image.ts";
import { type TarEntry, tarBlock_bytes, tarHeader } from "./tar.ts";

/** An entry of an image: in memory, or a file of this board's that is read when it is needed. */
export type ImageEntry = TarEntry | { readonly path: string; readonly mode: number; readonly file: string };

export interface FileImage {
  /** Name with tag, as `docker load` will show it. */
  readonly reference: string;
  /** GOARCH. */
  readonly architecture: string;
  readonly entries: readonly ImageEntry[];
  /** The image's config: Entrypoint, Cmd, Env, User, … */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * An image of one layer made of files, as the tar that `docker load` reads. Of a hundred megabytes only pieces are in
 * memory: the files are read twice, for their digest and for the archive. Rejects when they cannot be read.
 */
export async function fileImageArchive(image: FileImage): Promise<Readable> {
  let size_bytes = 0;
  const hash = createHash("sha256");
  for await (const piece of layer(image.entries)) {
    size_bytes += piece.byteLength;
    hash.update(piece);
  }
  const digest = hash.digest("hex");
  const config = imageConfig(image, digest);
  const configName = `${createHash("sha256").update(config).digest("hex")}.json`;
  const layerName = `${digest}/layer.tar`;
  const manifest = JSON.stringify([{ Config: configName, RepoTags: [image.reference], Layers: [layerName] }]);
  return Readable.from(
    (async function* () {
      yield* whole({ path: configName, content: config });
      yield* whole({ path: digest, type: "directory" });
      yield tarHeader({ path: layerName }, size_bytes);
      yield* layer(image.entries);
      yield padding(size_bytes);
      yield* whole({ path: "manifest.json", content: manifest });
      yield end();
    })(),
    { objectMode: false },
  );
}

async function* layer(entries: readonly ImageEntry[]): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    if ("file" in entry) yield* fromFile(entry);
    else yield* whole(entry);
  }
  yield end();
}

async function* fromFile(entry: { path: string; mode: number; file: string }): AsyncGenerator<Uint8Array> {
  const { size } = await stat(entry.file);
  yield tarHeader({ path: entry.path, mode: entry.mode }, size);
  let read_bytes = 0;
  for await (const piece of createReadStream(entry.file) as AsyncIterable<Buffer>) {
    read_bytes += piece.byteLength;
    yield piece;
  }
  if (read_bytes !== size) throw new Error(`${entry.file} changed while it was read`);
  yield padding(size);
}

function* whole(entry: TarEntry): Generator<Uint8Array> {
  const content = typeof entry.content === "string" ? Buffer.from(entry.content) : (entry.content ?? new Uint8Array());
  yield tarHeader(entry, content.byteLength);
  yield content;
  yield padding(content.byteLength);
}

const padding = (size_bytes: number): Uint8Array => new Uint8Array(-size_bytes & (tarBlock_bytes - 1));
const end = (): Uint8Array => new Uint8Array(2 * tarBlock_bytes);
