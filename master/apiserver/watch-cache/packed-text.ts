/**
 * Texts of objects that rest packed: by Zstandard (RFC 8878) against the text of another object of their resource, as much of
 * what objects of one kind are written with is the same in all.
 */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { cacheBounds } from "#shared/process/cache-bounds.ts";

/** What is shorter is not worth it. */
const LEAST_CHARS = 256;
const headMark = '"metadata":{';

/** How texts were packed: against which sample. */
export class Packing {
  readonly #sample: Buffer;
  /** What all texts begin with that are packed by it. */
  readonly head: string;

  constructor(sample: string) {
    this.#sample = Buffer.from(sample);
    this.head = sample.slice(0, sample.indexOf(headMark));
  }

  /** The packed bytes as characters, a byte each, which is the smallest that the engine keeps; undefined where it saves
   *  less than half. */
  pack(text: string): string | undefined {
    if (text.length < LEAST_CHARS || !text.startsWith(this.head)) return undefined;
    const packed = zstdCompressSync(Buffer.from(text), { dictionary: this.#sample });
    return packed.length < text.length / 2 ? packed.toString("latin1") : undefined;
  }

  unpack(packed: string): string {
    return zstdDecompressSync(Buffer.from(packed, "latin1"), { dictionary: this.#sample }).toString();
  }
}

/** A sample serves for so many texts, so that it is like those that are written now. */
const TEXTS_A_SAMPLE = 4096;

/** Packs the texts of one resource. */
export class Packer {
  #packing: Packing | undefined;
  #left = 0;

  /** What to pack this text by. */
  packingFor(text: string): Packing {
    if (this.#packing && this.#left > 0) {
      this.#left -= 1;
      return this.#packing;
    }
    this.#packing = new Packing(text);
    this.#left = TEXTS_A_SAMPLE;
    return this.#packing;
  }
}

/** What rests with a text that may be packed. */
interface Packable {
  /** Of its text, in characters. */
  readonly size: number;
  pack(packer: Packer): void;
}

/**
 * Texts that rest as they are: those written last, of all resources. What was written before is packed, so that very many
 * objects take a small part of the memory that their texts would; to read one of them then takes some microseconds more.
 */
export class LooseTexts {
  readonly #texts = new Map<Packable, Packer>();
  #chars = 0;

  add(text: Packable, packer: Packer): void {
    this.#texts.set(text, packer);
    this.#chars += text.size;
    const { looseText } = cacheBounds();
    for (const [oldest, its] of this.#texts) {
      if (this.#chars <= looseText) return;
      this.leave(oldest);
      oldest.pack(its);
    }
  }

  /** What no cache holds any more. */
  leave(text: Packable): void {
    if (this.#texts.delete(text)) this.#chars -= text.size;
  }
}
