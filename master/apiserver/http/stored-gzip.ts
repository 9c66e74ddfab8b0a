/**
 * Gzip (RFC 1952) whose deflate blocks are stored, not compressed (RFC 1951, 3.2.4): for clients on this machine. They asked
 * for gzip and get it, but to unpack what was packed would cost them several times what the bytes cost on loopback.
 */
import { crc32 } from "node:zlib";

const MAX_BLOCK_BYTES = 0xffff;
const BLOCK_HEAD_BYTES = 5;
const head = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
const lastBlock = new Uint8Array([1, 0, 0, 0xff, 0xff]);

/** The stream, in a part for each piece of text. */
export async function* storedGzip(texts: AsyncIterable<string> | Iterable<string>): AsyncGenerator<Uint8Array> {
  let crc = 0;
  let length_bytes = 0;
  yield head;
  for await (const text of texts) {
    const length = Buffer.byteLength(text);
    const bytes = blocksOf(text, length);
    for (let at = BLOCK_HEAD_BYTES; at < bytes.length; at += MAX_BLOCK_BYTES + BLOCK_HEAD_BYTES)
      crc = crc32(bytes.subarray(at, at + MAX_BLOCK_BYTES), crc);
    length_bytes += length;
    yield bytes;
  }
  yield lastBlock;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(length_bytes % 2 ** 32, 4);
  yield trailer;
}

/** The text is encoded where it is to stand, behind the head of the one block that it mostly fills. What is longer moves apart. */
function blocksOf(text: string, length: number): Uint8Array {
  const blocks = Math.ceil(length / MAX_BLOCK_BYTES);
  const bytes = Buffer.allocUnsafeSlow(length + blocks * BLOCK_HEAD_BYTES);
  const start = blocks * BLOCK_HEAD_BYTES;
  bytes.write(text, start);
  for (let block = 0; block < blocks; block += 1) {
    const from = start + block * MAX_BLOCK_BYTES;
    const size = Math.min(MAX_BLOCK_BYTES, bytes.length - from);
    const at = block * (MAX_BLOCK_BYTES + BLOCK_HEAD_BYTES);
    if (block < blocks - 1) bytes.copyWithin(at + BLOCK_HEAD_BYTES, from, from + size);
    bytes[at] = 0;
    bytes.writeUInt16LE(size, at + 1);
    bytes.writeUInt16LE(0xffff - size, at + 3);
  }
  return bytes;
}
