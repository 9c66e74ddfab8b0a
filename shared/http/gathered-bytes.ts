/** Shorter pieces are copied together: as objects of their own they would take many times their length, and hold what they are a part of. */
const SHORT_BYTES = 1024;
const BLOCK_BYTES = 16 * 1024;

/** Bytes that arrive in pieces of any length, in an amount of memory that their number decides, however short the pieces are. */
export class GatheredBytes {
  #pieces: Buffer[] = [];
  /** Short pieces, from `#from` to `#to`, that follow the others. */
  #block: Buffer | undefined;
  #from = 0;
  #to = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    // Most come in one piece.
    const isFirst = this.#length === 0;
    this.#length += piece.length;
    if (isFirst || piece.length >= SHORT_BYTES) {
      this.#closeShort();
      this.#pieces.push(piece);
      return;
    }
    if (!this.#block || this.#block.length - this.#to < piece.length) {
      this.#closeShort();
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#from = this.#to = 0;
    }
    this.#block.set(piece, this.#to);
    this.#to += piece.length;
  }

  /** Takes out what came first; undefined where nothing is left. */
  shift(): Buffer | undefined {
    if (this.#pieces.length === 0) this.#closeShort();
    const piece = this.#pieces.shift();
    this.#length -= piece?.length ?? 0;
    return piece;
  }

  /** Takes out all. */
  takeAll(): Buffer {
    this.#closeShort();
    const [only] = this.#pieces;
    const all = only && this.#pieces.length === 1 ? only : Buffer.concat(this.#pieces, this.#length);
    this.clear();
    return all;
  }

  clear(): void {
    this.#pieces = [];
    this.#block = undefined;
    this.#from = this.#to = 0;
    this.#length = 0;
  }

  #closeShort(): void {
    if (this.#block && this.#to > this.#from) this.#pieces.push(this.#block.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
