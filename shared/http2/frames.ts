/** Frames of HTTP/2 (RFC 9113, 4 to 6): their names, and those that a server writes. */

export const FRAME_HEAD_BYTES = 9;
/** What both sides take unless they say otherwise. */
export const FRAME_BYTES = 16_384;
export const WINDOW_BYTES = 65_535;
export const LARGEST_WINDOW_BYTES = 2 ** 31 - 1;
export const LAST_STREAM_ID = 2 ** 31 - 1;

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flags = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const settingIds = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** RFC 9113, 7. */
export const errorCodes = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const;
export type ErrorCode = (typeof errorCodes)[keyof typeof errorCodes];

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

/** Writes the head of a frame at `at`; where its payload begins. */
export function putFrameHead(bytes: Buffer, at: number, { type, flags: flag, stream, payload }: Frame): number {
  const { length } = payload;
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flag;
  bytes[at + 5] = stream >>> 24;
  bytes[at + 6] = stream >>> 16;
  bytes[at + 7] = stream >>> 8;
  bytes[at + 8] = stream;
  return at + FRAME_HEAD_BYTES;
}

export const nothing = new Uint8Array();

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Frame {
  const payload = Buffer.allocUnsafe(6 * settings.length);
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return { type: frameTypes.settings, flags: 0, stream: 0, payload };
}

export const settingsAck: Frame = { type: frameTypes.settings, flags: flags.ack, stream: 0, payload: nothing };

/** @param opaque eight bytes. */
export const pingAck = (opaque: Uint8Array): Frame => ({
  type: frameTypes.ping,
  flags: flags.ack,
  stream: 0,
  // It arrived among other things, which it must not keep in memory.
  payload: opaque.slice(),
});

export const resetFrame = (stream: number, code: ErrorCode): Frame => ({
  type: frameTypes.reset,
  flags: 0,
  stream,
  payload: uint32(code),
});

export const windowUpdateFrame = (stream: number, more_bytes: number): Frame => ({
  type: frameTypes.windowUpdate,
  flags: 0,
  stream,
  payload: uint32(more_bytes),
});

export const goAwayFrame = (lastStream: number, code: ErrorCode, reason: string): Frame => ({
  type: frameTypes.goAway,
  flags: 0,
  stream: 0,
  payload: Buffer.concat([uint32(lastStream), uint32(code), Buffer.from(reason, "latin1")]),
});

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header block in as many frames as the other side's limit takes. */
export function headerFrames(stream: number, block: Buffer, endsStream: boolean, longest_bytes: number): Frame[] {
  const frames: Frame[] = [];
  let type: number = frameTypes.headers;
  let flag: number = endsStream ? flags.endStream : 0;
  let from = 0;
  do {
    const payload = block.subarray(from, from + longest_bytes);
    from += payload.length;
    if (from >= block.length) flag |= flags.endHeaders;
    frames.push({ type, flags: flag, stream, payload });
    type = frameTypes.continuation;
    flag = 0;
  } while (from < block.length);
  return frames;
}
