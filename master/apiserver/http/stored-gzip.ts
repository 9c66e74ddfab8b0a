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
    const plain = Buffer.from(text);
    crc = crc32(plain, crc);
    length_bytes += plain.length;
    yield blocksOf(plain);
  }
  yield lastBlock;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(length_bytes % 2 ** 32, 4);
  yield trailer;
}

function blocksOf(plain: Buffer): Uint8Array {
  const blocks = Math.ceil(plain.length / MAX_BLOCK_BYTES);
  const bytes = Buffer.allocUnsafe(plain.length + blocks * BLOCK_HEAD_BYTES);
  let at = 0;
  for (let from = 0; from < plain.length; from += MAX_BLOCK_BYTES) {
    const size = Math.min(MAX_BLOCK_BYTES, plain.length - from);
    bytes[at] = 0;
    bytes.writeUInt16LE(size, at + 1);
    bytes.writeUInt16LE(0xffff - size, at + 3);
    plain.copy(bytes, at + BLOCK_HEAD_BYTES, from, from + size);
    at += BLOCK_HEAD_BYTES + size;
  }
  return bytes;
}
