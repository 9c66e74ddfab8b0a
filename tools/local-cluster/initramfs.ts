/** A file system that a kernel unpacks into memory (Linux' "newc" cpio, Documentation/driver-api/early-userspace/buffer-format). */
export interface InitramfsFile {
  /** Without a slash in front. Folders on the way must come before. */
  readonly path: string;
  readonly kind: "folder" | "program";
  readonly content?: Uint8Array | undefined;
}

const modes = { folder: 0o040755, program: 0o100755 } as const;
const align = 4;

export function initramfs(files: readonly InitramfsFile[]): Uint8Array {
  const parts = files.map(({ path, kind, content }, index) => record(index + 1, path, modes[kind], content));
  return Buffer.concat([...parts, record(0, "TRAILER!!!", 0)]);
}

function record(inode: number, path: string, mode: number, content: Uint8Array = new Uint8Array()): Uint8Array {
  const name = `${path}\0`;
  // Inode, mode, user, group, links, time, size, device and special device by two numbers each, name's length, checksum.
  const numbers = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const head = Buffer.from(`070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}${name}`);
  return Buffer.concat([padded(head), padded(content)]);
}

function padded(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, new Uint8Array((align - (bytes.length % align)) % align)]);
}
