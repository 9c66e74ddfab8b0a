import type { WatchFrame } from "../request.ts";
import { Untaken } from "./sink.ts";

const MAX_KEPT = 32;
const MAX_KEPT_BYTES = 32 * 1024;

/** A frame of a watch as it is sent. */
export interface Line {
  readonly bytes: Uint8Array;
  /** Of one that is large. */
  readonly untaken?: Untaken | undefined;
}

interface LargeLine extends Line {
  readonly type: WatchFrame["type"];
  /** Watches that are sending it. */
  watches: number;
}

/**
 * Frames of watches as they are sent, in one form: what many watch is encoded once. The last small ones are kept; large ones as long as
 * somebody sends them, since thousands of watches may wait for their clients with the same one.
 */
export class SharedLines {
  readonly #encode: (frame: WatchFrame) => Uint8Array;
  readonly #small = new Map<object, { readonly type: WatchFrame["type"]; readonly line: Line }>();
  readonly #large = new Map<object, LargeLine>();

  constructor(encode: (frame: WatchFrame) => Uint8Array) {
    this.#encode = encode;
  }

  /** A frame's line, to be given back by `leave`. */
  take(frame: WatchFrame): Line {
    const { object, type } = frame;
    const known = object && this.#small.get(object);
    if (known?.type === type) return known.line;
    const large = object && this.#large.get(object);
    if (large?.type === type) {
      large.watches += 1;
      return large;
    }
    const bytes = this.#encode(frame);
    if (!object) return { bytes };
    if (bytes.length <= MAX_KEPT_BYTES) return this.#keep(object, type, { bytes });
    const line = { bytes, type, untaken: new Untaken(bytes.length), watches: 1 };
    if (!large) this.#large.set(object, line);
    return line;
  }

  leave({ object }: WatchFrame, line: Line): void {
    const large = object && this.#large.get(object);
    if (!large || large !== line) return;
    large.watches -= 1;
    if (large.watches === 0) this.#large.delete(object);
  }

  #keep(object: object, type: WatchFrame["type"], line: Line): Line {
    const [oldest] = this.#small.size < MAX_KEPT ? [] : this.#small.keys();
    if (oldest) this.#small.delete(oldest);
    this.#small.set(object, { type, line });
    return line;
  }
}
