export const tarBlock_bytes = 512;

export interface TarEntry {
  /** Relative, at most 100 bytes. */
  readonly path: string;
  readonly type?: "file" | "directory" | "symlink" | undefined;
  readonly mode?: number | undefined;
  readonly content?: Uint8Array | string | undefined;
  readonly linkTarget?: string | undefined;
}

/**
 * A tar archive in memory (POSIX ustar), owned by root and dated 1970, so that equal entries give equal bytes. Enough
 * for the images that the agent makes itself. Throws RangeError for a path or link that ustar's short field cannot hold.
 */
export function tarArchive(entries: readonly TarEntry[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    const content =
      typeof entry.content === "string" ? Buffer.from(entry.content) : (entry.content ?? new Uint8Array());
    parts.push(
      tarHeader(entry, content.byteLength),
      content,
      new Uint8Array(-content.byteLength & (tarBlock_bytes - 1)),
    );
  }
  parts.push(new Uint8Array(2 * tarBlock_bytes));
  return new Uint8Array(Buffer.concat(parts));
}

/** The block before an entry's content, which is filled up to whole blocks. */
export function tarHeader(entry: TarEntry, size_bytes: number): Uint8Array {
  const header = Buffer.alloc(tarBlock_bytes);
  const type = entry.type ?? "file";
  const put = (text: string, offset: number, length: number) => {
    if (Buffer.byteLength(text) > length) throw new RangeError(`"${text}" is longer than tar's ${length} bytes`);
    header.write(text, offset, length);
  };
  const octal = (value: number, offset: number, length: number) =>
    put(value.toString(8).padStart(length - 1, "0"), offset, length);

  put(type === "directory" ? `${entry.path.replace(/\/$/, "")}/` : entry.path, 0, 100);
  octal(entry.mode ?? (type === "directory" ? 0o755 : 0o644), 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size_bytes, 124, 12);
  octal(0, 136, 12);
  put({ file: "0", symlink: "2", directory: "5" }[type], 156, 1);
  put(entry.linkTarget ?? "", 157, 100);
  put("ustar\u000000", 257, 8);
  // The checksum counts its own field as spaces.
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8);
  return header;
}
