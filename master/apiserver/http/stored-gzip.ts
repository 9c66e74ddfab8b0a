/**
 * Gzip (RFC 1952) whose deflate blocks are stored, not compressed (RFC 1951, 3.2.4): for clients on this machine. They asked
 * for gzip and get it, but to unpack what was packed would cost them several times what the bytes cost on loopback.
 */
import { crc32 } from "node:zlib";
import { crc32Combine } from "./crc32-combine.ts";

const MAX_BLOCK_BYTES = 0xffff;
const BLOCK_HEAD_BYTES = 5;
const head = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
const lastBlock = new Uint8Array([1, 0, 0, 0xff, 0xff]);

/** A text as it is sent, with what a gzip stream that it is a part of has to know. */
export interface Encoded {
  readonly bytes: Uint8Array;
  /** Of the text; 0 where none is asked for. */
  readonly crc: number;
  /** Of the text. */
  readonly length_bytes: number;
}

/** The stream, in a part for each piece of text. */
export async function* storedGzip(texts: AsyncIterable<string> | Iterable<string>): AsyncGenerator<Uint8Array> {
  const stream = new StoredStream();
  yield stream.head;
  for await (const text of texts) yield stream.take(storedBlocks(text));
  yield stream.end();
}

/** What stands around the blocks of a stream. */
export class StoredStream {
  readonly head = head;
  #crc = 0;
  #length_bytes = 0;

  /** Counts the blocks in, and gives their bytes. */
  take({ bytes, crc, length_bytes }: Encoded): Uint8Array {
    this.#crc = crc32Combine(this.#crc, crc, length_bytes);
    this.#length_bytes += length_bytes;
    return bytes;
  }

  end(): Uint8Array {
    const end = Buffer.alloc(lastBlock.length + 8);
    end.set(lastBlock);
    end.writeUInt32LE(this.#crc, lastBlock.length);
    end.writeUInt32LE(this.#length_bytes % 2 ** 32, lastBlock.length + 4);
    return end;
  }
}

export function plainBytes(text: string): Encoded {
  const bytes = Buffer.from(text);
  return { bytes, crc: 0, length_bytes: bytes.length };
}

/** The text in blocks that are stored. */
export function storedBlocks(text: string): Encoded {
  const length_bytes = Buffer.byteLength(text);
  const bytes = blocksOf(text, length_bytes);
  let crc = 0;
  for (let at = BLOCK_HEAD_BYTES; at < bytes.length; at += MAX_BLOCK_BYTES + BLOCK_HEAD_BYTES)
    crc = crc32(bytes.subarray(at, at + MAX_BLOCK_BYTES), crc);
  return { bytes, crc, length_bytes };
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
