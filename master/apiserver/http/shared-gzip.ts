/**
 * Gzip of lists in pieces that are kept: neighbouring objects are compressed together once, and every list that holds them
 * unchanged is put together from such pieces. A piece ends on a byte (a full flush), so pieces join to one deflate stream.
 */

import { promisify } from "node:util";
import { constants, crc32, deflateRaw, deflateRawSync } from "node:zlib";
import { cacheBounds } from "#shared/process/cache-bounds.ts";
import type { CachedObject } from "../request.ts";
import { crc32Combine } from "./crc32-combine.ts";
import type { TextOfMember } from "./list-pieces.ts";

export interface Deflated {
  readonly bytes: Uint8Array;
  /** Of the text. */
  readonly crc: number;
  /** Of the text. */
  readonly length_bytes: number;
}

/** What a list holds, and how its members are written: an object is written alike in all lists. */
interface Members {
  readonly items: readonly CachedObject[];
  readonly textOf: TextOfMember;
}

interface Piece {
  readonly items: readonly CachedObject[];
  readonly deflated: Promise<Deflated>;
}

const MAX_PIECE_ITEMS = 64;
const MAX_PIECE_TEXT = 128 * 1024;
const KEPT_FOR_MS = 60_000;

const level = 1;
const compress = promisify(deflateRaw) as (bytes: Uint8Array, options: object) => Promise<Uint8Array>;

async function deflated(text: string): Promise<Deflated> {
  const plain = Buffer.from(text);
  const bytes = await compress(plain, { level, finishFlush: constants.Z_FULL_FLUSH });
  return { bytes, crc: crc32(plain), length_bytes: plain.length };
}

function deflatedNow(text: string, isLast = false): Deflated {
  const plain = Buffer.from(text);
  const finishFlush = isLast ? constants.Z_FINISH : constants.Z_FULL_FLUSH;
  return { bytes: deflateRawSync(plain, { level, finishFlush }), crc: crc32(plain), length_bytes: plain.length };
}

/** Pieces by their first object, the least recently used ones first; empty again when no list was asked for a while. */
export class PieceCache {
  readonly #pieces = new Map<CachedObject, Piece>();
  readonly #sizes = new Map<Piece, number>();
  #kept_bytes = 0;
  #forget: ReturnType<typeof setTimeout> | undefined;

  /** The piece that starts at `items[from]`, made if need be. */
  pieceAt({ items, textOf }: Members, from: number): Piece {
    this.#forgetLater();
    const first = items[from] as CachedObject;
    const known = this.#pieces.get(first);
    if (known && standsAt(known.items, items, from)) {
      this.#pieces.delete(first);
      this.#pieces.set(first, known);
      return known;
    }
    if (known) this.#drop(first, known);
    const piece = newPiece({ items, textOf }, from);
    this.#pieces.set(first, piece);
    piece.deflated.then(
      ({ bytes }) => this.#keep(first, piece, bytes.length),
      () => this.#drop(first, piece),
    );
    return piece;
  }

  #keep(first: CachedObject, piece: Piece, size_bytes: number): void {
    if (this.#pieces.get(first) !== piece) return;
    this.#sizes.set(piece, size_bytes);
    this.#kept_bytes += size_bytes;
    const { listPieces_bytes } = cacheBounds();
    // A list that does not fit in is compressed each time, as if there were no cache.
    for (const [oldest, each] of this.#pieces) {
      if (this.#kept_bytes <= listPieces_bytes) return;
      this.#drop(oldest, each);
    }
  }

  #drop(first: CachedObject, piece: Piece): void {
    if (this.#pieces.get(first) === piece) this.#pieces.delete(first);
    this.#kept_bytes -= this.#sizes.get(piece) ?? 0;
    this.#sizes.delete(piece);
  }

  #forgetLater(): void {
    if (this.#forget) {
      this.#forget.refresh();
      return;
    }
    this.#forget = setTimeout(() => {
      this.#forget = undefined;
      this.#pieces.clear();
      this.#sizes.clear();
      this.#kept_bytes = 0;
    }, KEPT_FOR_MS);
    this.#forget.unref();
  }
}

function standsAt(piece: readonly CachedObject[], items: readonly CachedObject[], from: number): boolean {
  if (from + piece.length > items.length) return false;
  for (let index = 0; index < piece.length; index += 1) if (piece[index] !== items[from + index]) return false;
  return true;
}

function newPiece({ items, textOf }: Members, from: number): Piece {
  const texts: string[] = [];
  let size = 0;
  for (let index = from; index < items.length; index += 1) {
    const item = items[index] as CachedObject;
    const text = textOf(item);
    texts.push(text);
    size += text.length;
    if (endsPiece(item) || texts.length === MAX_PIECE_ITEMS || size >= MAX_PIECE_TEXT) break;
  }
  return { items: items.slice(from, from + texts.length), deflated: deflated(texts.join(",")) };
}

/** Pieces end at about every 32nd object, told by the object alone: a new neighbour moves no other piece's ends. */
const endsPiece = ({ revision }: CachedObject): boolean => Math.imul(revision, 0x9e3779b1) >>> 27 === 0;

const gzipHead = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
let comma: Deflated | undefined;

/** The gzip stream of `head`, the items' texts with commas between them, and `tail`; in parts, as they become ready. */
export async function* gzipOfList(
  cache: PieceCache,
  head: string,
  members: Members,
  tail: string,
): AsyncGenerator<Uint8Array> {
  comma ??= deflatedNow(",");
  let crc = 0;
  let length_bytes = 0;
  const take = (part: Deflated): Uint8Array => {
    crc = crc32Combine(crc, part.crc, part.length_bytes);
    length_bytes += part.length_bytes;
    return part.bytes;
  };
  yield gzipHead;
  yield take(deflatedNow(head));
  for (let index = 0; index < members.items.length; ) {
    if (index > 0) yield take(comma);
    const piece = cache.pieceAt(members, index);
    index += piece.items.length;
    yield take(await piece.deflated);
  }
  yield take(deflatedNow(tail, true));
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(length_bytes % 2 ** 32, 4);
  yield trailer;
}
