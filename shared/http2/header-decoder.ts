import { huffmanDecoded } from "./huffman.ts";
import { STATIC_COUNT, staticNames, staticValues } from "./static-table.ts";

/** Of both sides' tables until something else is agreed on; nothing else is asked for here. */
const TABLE_BYTES = 4096;
/** What a field counts beside its text (RFC 7541, 4.1). */
const FIELD_BYTES = 32;

/** A block that does not follow RFC 7541: both sides' tables differ from now on, and the connection is over. */
export class CompressionError extends Error {}

/** The fields of a block. */
export interface HeaderList {
  /** Name, value, name, value … ; a character a byte. */
  readonly fields: readonly string[];
  /** There were more than are taken; `fields` lacks some. */
  readonly isTooLong: boolean;
}

/** Reads header blocks of one connection, in the order in which they came (HPACK). */
export class HeaderDecoder {
  readonly #longest_bytes: number;
  /** The dynamic table, newest last; what has been evicted stands before `#oldest`. */
  #names: string[] = [];
  #values: string[] = [];
  #oldest = 0;
  #size_bytes = 0;
  #limit_bytes = TABLE_BYTES;
  #bytes: Uint8Array = new Uint8Array();
  #at = 0;

  /** @param longest_bytes of a list that is taken, a field counted as its text and 32 bytes. */
  constructor(longest_bytes: number) {
    this.#longest_bytes = longest_bytes;
  }

  /** Throws CompressionError. A list that is too long is read to its end for the table's sake, but not kept. */
  decode(block: Uint8Array): HeaderList {
    this.#bytes = block;
    this.#at = 0;
    const fields: string[] = [];
    let size_bytes = 0;
    let mayResize = true;
    while (this.#at < block.length) {
      const first = block[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        if (!mayResize) throw new CompressionError("the table's size changes within a block");
        this.#resize(this.#integer(5));
        continue;
      }
      mayResize = false;
      let name: string;
      let value: string;
      if (first & 0x80) {
        const index = this.#integer(7);
        name = this.#nameAt(index);
        value = index <= STATIC_COUNT ? (staticValues[index] ?? "") : (this.#values[this.#place(index)] ?? "");
      } else {
        const isKept = (first & 0x40) !== 0;
        const index = this.#integer(isKept ? 6 : 4);
        name = index === 0 ? this.#string() : this.#nameAt(index);
        value = this.#string();
        if (isKept) this.#keep(name, value);
      }
      size_bytes += name.length + value.length + FIELD_BYTES;
      if (size_bytes <= this.#longest_bytes) fields.push(name, value);
    }
    this.#bytes = new Uint8Array();
    return { fields, isTooLong: size_bytes > this.#longest_bytes };
  }

  #nameAt(index: number): string {
    if (index === 0) throw new CompressionError("index 0");
    return index <= STATIC_COUNT ? (staticNames[index] ?? "") : (this.#names[this.#place(index)] ?? "");
  }

  /** Where an entry of the dynamic table stands; the newest has the lowest index. */
  #place(index: number): number {
    const place = this.#names.length - (index - STATIC_COUNT);
    if (place < this.#oldest) throw new CompressionError("an index beyond the table");
    return place;
  }

  #keep(name: string, value: string): void {
    const size_bytes = name.length + value.length + FIELD_BYTES;
    this.#evictTo(this.#limit_bytes - size_bytes);
    // An entry that is larger than the table leaves it empty.
    if (size_bytes > this.#limit_bytes) return;
    this.#names.push(name);
    this.#values.push(value);
    this.#size_bytes += size_bytes;
  }

  #resize(limit_bytes: number): void {
    if (limit_bytes > TABLE_BYTES) throw new CompressionError("a table larger than was agreed on");
    this.#limit_bytes = limit_bytes;
    this.#evictTo(limit_bytes);
  }

  #evictTo(most_bytes: number): void {
    while (this.#size_bytes > Math.max(0, most_bytes)) {
      const [name = "", value = ""] = [this.#names[this.#oldest], this.#values[this.#oldest]];
      this.#size_bytes -= name.length + value.length + FIELD_BYTES;
      this.#names[this.#oldest] = this.#values[this.#oldest] = "";
      this.#oldest += 1;
    }
    // The evicted places are given back now and then, not one by one.
    if (this.#oldest <= TABLE_BYTES / FIELD_BYTES) return;
    this.#names = this.#names.slice(this.#oldest);
    this.#values = this.#values.slice(this.#oldest);
    this.#oldest = 0;
  }

  /** An integer with a prefix of so many bits (RFC 7541, 5.1). */
  #integer(prefix_bits: number): number {
    const mask = (1 << prefix_bits) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new CompressionError("an integer that is too large");
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new CompressionError("the block ends within a field");
    this.#at += 1;
    return byte;
  }

  #string(): string {
    const isHuffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const from = this.#at;
    const to = from + length;
    if (to > this.#bytes.length) throw new CompressionError("the block ends within a string");
    this.#at = to;
    if (!isHuffman) return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + from, length).toString("latin1");
    const text = huffmanDecoded(this.#bytes, from, to);
    if (text === undefined) throw new CompressionError("a string that is no Huffman code");
    return text;
  }
}
