import { ConnectionError, calm, protocolError } from "./connection-error.ts";
import type { ArrivedFrame } from "./frame-reader.ts";
import { type ErrorCode, errorCodes, FRAME_BYTES, flags } from "./frames.ts";

/** Of a stream's priority, before the block in a HEADERS frame that has one. */
const PRIORITY_BYTES = 5;
/** Frames in which one header block comes, beyond those that its length takes. */
const MAX_CONTINUATIONS = 64;

/** A header block as it comes: in a HEADERS frame, and the CONTINUATION frames behind it (RFC 9113, 4.3). */
export class HeaderBlock {
  readonly stream: number;
  readonly endsStream: boolean;
  /** Its priority names the stream itself, which is that stream's error. */
  readonly dependsOnItself: boolean;
  readonly #parts: Buffer[];
  #bytes: number;

  /** Throws ConnectionError. */
  constructor({ stream, flags: flag, payload }: ArrivedFrame) {
    if (stream === 0 || stream % 2 === 0) throw protocolError("HEADERS on a stream that is no client's");
    const hasPriority = (flag & flags.priority) !== 0;
    const part = unpadded(payload, flag, hasPriority ? PRIORITY_BYTES : 0);
    this.stream = stream;
    this.endsStream = (flag & flags.endStream) !== 0;
    this.dependsOnItself = hasPriority && dependencyIn(part) === stream;
    this.#parts = [hasPriority ? part.subarray(PRIORITY_BYTES) : part];
    this.#bytes = part.length;
  }

  /** A further frame's part of it. Throws ConnectionError where it becomes larger than `most_bytes`, or comes in crumbs. */
  add(part: Buffer, most_bytes: number): void {
    this.#parts.push(part);
    this.#bytes += part.length;
    const usual = Math.ceil(this.#bytes / FRAME_BYTES);
    if (this.#bytes > most_bytes || this.#parts.length > usual + MAX_CONTINUATIONS)
      throw calm("too large a header block");
  }

  /** All of it, compressed. */
  whole(): Buffer {
    const [only] = this.#parts;
    return only && this.#parts.length === 1 ? only : Buffer.concat(this.#parts);
  }
}

/** What is wrong with a PRIORITY frame, which is its stream's error alone; else it says nothing that is used. Throws ConnectionError. */
export function priorityFault(stream: number, payload: Buffer): ErrorCode | undefined {
  if (stream === 0) throw protocolError("PRIORITY of no stream");
  if (payload.length !== PRIORITY_BYTES) return errorCodes.frameSizeError;
  return dependencyIn(payload) === stream ? errorCodes.protocolError : undefined;
}

/** The stream that a priority depends on, without the bit that says whether alone. */
function dependencyIn(priority: Buffer): number {
  return priority.readUInt32BE(0) & 0x7fffffff;
}

/** A frame's payload without its padding. Throws ConnectionError. @param least_bytes that must be there beside it. */
export function unpadded(payload: Buffer, flag: number, least_bytes: number): Buffer {
  const isPadded = (flag & flags.padded) !== 0;
  const padding = isPadded ? (payload[0] ?? 0) : 0;
  const from = isPadded ? 1 : 0;
  const to = payload.length - padding;
  if (to < from || payload.length < from) throw protocolError("more padding than there is room for");
  if (to - from < least_bytes) throw new ConnectionError(errorCodes.frameSizeError, "too small a frame");
  return payload.subarray(from, to);
}
