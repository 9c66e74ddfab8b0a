import { GatheredBytes } from "#shared/http/gathered-bytes.ts";

/**
 * The wire format of a tunnel: frames of a 9-byte header and a payload over one ordered byte stream.
 * Header: type (1 byte), stream (4), payload length (4), big-endian. Only the API server opens streams; numbers are never
 * used twice on one connection.
 */
export const frameType = {
  /** JSON of a TunnelTarget. */
  open: 1,
  data: 2,
  /** No more data in this direction. */
  end: 3,
  /** The stream is dead in both directions; the payload says why. */
  reset: 4,
  /** The payload is a 4-byte number of bytes that the reader has room for, beyond what it granted before. */
  credit: 5,
} as const;

export type FrameType = (typeof frameType)[keyof typeof frameType];

export interface Frame {
  readonly type: FrameType;
  readonly stream: number;
  readonly payload: Buffer;
}

const header_bytes = 9;
export const maxPayload_bytes = 65_536;
/** What a side may send before it is granted more: bounds the memory a slow reader costs. */
export const initialCredit_bytes = 262_144;

export class TunnelProtocolError extends Error {
  override readonly name = "TunnelProtocolError";
}

export function encodeFrame(type: FrameType, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = Buffer.allocUnsafe(header_bytes + payload.length);
  frame.writeUInt8(type, 0);
  frame.writeUInt32BE(stream, 1);
  frame.writeUInt32BE(payload.length, 5);
  frame.set(payload, header_bytes);
  return frame;
}

/** Cuts a byte stream into frames. Throws TunnelProtocolError for what cannot be one. */
export class FrameDecoder {
  private readonly arrived = new GatheredBytes();
  private need_bytes = header_bytes;

  *push(chunk: Buffer): Generator<Frame> {
    this.arrived.push(chunk);
    if (this.arrived.length < this.need_bytes) return;
    let rest = this.arrived.takeAll();
    this.need_bytes = header_bytes;
    while (rest.length >= header_bytes) {
      const type = rest.readUInt8(0);
      const length = rest.readUInt32BE(5);
      if (type < frameType.open || type > frameType.credit) throw new TunnelProtocolError(`no frame has type ${type}`);
      if (length > maxPayload_bytes) throw new TunnelProtocolError(`a frame of ${length} bytes is too long`);
      if (rest.length < header_bytes + length) {
        this.need_bytes = header_bytes + length;
        break;
      }
      const payload = rest.subarray(header_bytes, header_bytes + length);
      const stream = rest.readUInt32BE(1);
      rest = rest.subarray(header_bytes + length);
      yield { type: type as FrameType, stream, payload };
    }
    this.arrived.push(rest);
  }
}
