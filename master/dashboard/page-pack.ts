/**
 * The page's files in one: a line of JSON that says where each lies, then the files, compressed. The build makes it
 * (tools/dashboard.ts) and puts it into the binary; each file is read from there when somebody asks for it, so that the
 * page costs no memory while nobody looks.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

export interface PackedFile {
  /** Without a slash in front: `index.html`. */
  readonly path: string;
  readonly contentType: string;
  readonly etag: string;
  /** Behind the line of the index. */
  readonly offset: number;
  readonly length: number;
}

export const packFileName = "page.generated.pack";

/** Joins files that are compressed already. */
export function pack(
  files: readonly { readonly file: Omit<PackedFile, "offset" | "length">; readonly bytes: Uint8Array }[],
): Uint8Array {
  let offset = 0;
  const index = files.map(({ file, bytes }): PackedFile => {
    const packed = { ...file, offset, length: bytes.length };
    offset += bytes.length;
    return packed;
  });
  return Buffer.concat([Buffer.from(`${JSON.stringify(index)}\n`), ...files.map(({ bytes }) => bytes)]);
}

export class PagePack {
  readonly #source: Blob;
  readonly #start: number;
  readonly #files: ReadonlyMap<string, PackedFile>;

  private constructor(source: Blob, start: number, files: readonly PackedFile[]) {
    this.#source = source;
    this.#start = start;
    this.#files = new Map(files.map((file) => [file.path, file]));
  }

  /** From the binary, or from beside the source where it was built; undefined where it was not. */
  static async find(): Promise<PagePack | undefined> {
    const [stem = ""] = packFileName.split(".pack");
    const embedded = Bun.embeddedFiles.find((file) => "name" in file && String(file.name).includes(stem));
    const beside = join(import.meta.dir, packFileName);
    const source = embedded ?? (existsSync(beside) ? Bun.file(beside) : undefined);
    return source && PagePack.open(source);
  }

  static async open(source: Blob): Promise<PagePack> {
    const head = Buffer.from(await source.slice(0, longestIndex_bytes).arrayBuffer());
    const end = head.indexOf("\n");
    if (end < 0) throw new Error("the dashboard's files have no index");
    return new PagePack(source, end + 1, JSON.parse(head.toString("utf8", 0, end)) as PackedFile[]);
  }

  file(path: string): PackedFile | undefined {
    return this.#files.get(path);
  }

  /** The file, compressed by gzip. */
  async read({ offset, length }: PackedFile): Promise<Uint8Array> {
    const from = this.#start + offset;
    return new Uint8Array(await this.#source.slice(from, from + length).arrayBuffer());
  }
}

const longestIndex_bytes = 16 * 1024;
