/** gRPC's messages in an HTTP/2 stream: five bytes of prefix (compression flag, length), then the message. */
import type { Http2Stream } from "node:http2";
import { GrpcCode, GrpcError } from "./grpc-error.ts";

const PREFIX_BYTES = 5;

/** A message with its prefix, uncompressed. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/**
 * The messages of one direction until its end; reading no further holds the sender back.
 * Throws GrpcError for a message that is compressed or longer than allowed, else what the stream throws.
 */
export async function* messagesIn(stream: Http2Stream, longest_bytes: number): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = [];
  let held = 0;
  // The stream outlives its reader: a server still has to say what it did not like.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    parts.push(chunk);
    held += chunk.length;
    if (held < wanted(parts, longest_bytes)) continue;
    let buffer = parts.length === 1 ? chunk : Buffer.concat(parts);
    while (buffer.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + lengthOf(buffer, longest_bytes);
      if (buffer.length < end) break;
      yield buffer.subarray(PREFIX_BYTES, end);
      buffer = buffer.subarray(end);
    }
    parts = buffer.length === 0 ? [] : [buffer];
    held = buffer.length;
  }
  if (held > 0) throw new GrpcError(GrpcCode.Internal, "the stream ended within a message", true);
}

/** How many bytes must be there before looking again: long messages are not joined chunk by chunk. */
function wanted(parts: readonly Buffer[], longest_bytes: number): number {
  const first = parts[0];
  return first && first.length >= PREFIX_BYTES ? PREFIX_BYTES + lengthOf(first, longest_bytes) : PREFIX_BYTES;
}

function lengthOf(buffer: Buffer, longest_bytes: number): number {
  if (buffer[0] !== 0) throw new GrpcError(GrpcCode.Unimplemented, "a compressed message was not asked for", true);
  const length = buffer.readUInt32BE(1);
  if (length > longest_bytes) {
    const text = `a message of ${length} bytes is longer than the ${longest_bytes} allowed`;
    throw new GrpcError(GrpcCode.ResourceExhausted, text, true);
  }
  return length;
}

/** A timer that should wait for longer does not wait at all. */
export const longestTimer_ms = 2 ** 31 - 1;
