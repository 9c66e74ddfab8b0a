import { ConnectionError, protocolError } from "./connection-error.ts";
import type { ArrivedFrame } from "./frame-reader.ts";
import {
  errorCodes,
  FRAME_BYTES,
  type Frame,
  flags,
  LARGEST_WINDOW_BYTES,
  settingIds,
  settingsFrame,
} from "./frames.ts";
import type { Http2Options } from "./options.ts";

const SETTING_BYTES = 6;
/** In one frame, as Go's server has it: each change of the first window is a change of every stream's. */
const MAX_SETTINGS = 100;
/** RFC 9113, 4.2. */
const LARGEST_FRAME_BYTES = 2 ** 24 - 1;

/** What the server tells of itself before all else. */
export const ownSettings = ({ maxStreams, maxHeaders_bytes }: Http2Options): Frame =>
  settingsFrame([
    [settingIds.maxConcurrentStreams, maxStreams],
    [settingIds.maxHeaderListSize, maxHeaders_bytes],
  ]);

/** As much of a client's SETTINGS as changes what it is sent. */
export interface ClientSettings {
  /** What it takes of a new stream; undefined: as before. */
  readonly streamWindow_bytes: number | undefined;
  /** It has said how large a table for header compression may be. */
  readonly hasTableSize: boolean;
}

/** What a SETTINGS frame says, or that it acknowledges ours (RFC 9113, 6.5). Throws ConnectionError. */
export function settingsIn({ stream, flags: flag, payload }: ArrivedFrame): ClientSettings | "acknowledged" {
  if (stream !== 0) throw protocolError("SETTINGS on a stream");
  const isAck = (flag & flags.ack) !== 0;
  if (payload.length % SETTING_BYTES !== 0 || (isAck && payload.length > 0))
    throw new ConnectionError(errorCodes.frameSizeError, "SETTINGS of another size");
  if (isAck) return "acknowledged";
  const values = new Map<number, number>();
  for (let at = 0; at < payload.length; at += SETTING_BYTES)
    values.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  const count = payload.length / SETTING_BYTES;
  if (count > MAX_SETTINGS || values.size < count) throw protocolError("too many settings, or one of them twice");
  for (const [id, value] of values) check(id, value);
  return {
    streamWindow_bytes: values.get(settingIds.initialWindowSize),
    hasTableSize: values.has(settingIds.headerTableSize),
  };
}

/** Those that nobody knows are ignored (RFC 9113, 6.5.2). */
function check(id: number, value: number): void {
  if (id === settingIds.enablePush && value > 1) throw protocolError("ENABLE_PUSH is neither 0 nor 1");
  if (id === settingIds.initialWindowSize && value > LARGEST_WINDOW_BYTES)
    throw new ConnectionError(errorCodes.flowControlError, "too large an initial window");
  // Larger frames than the usual ones would only let one stream hold up the others: none are sent.
  if (id === settingIds.maxFrameSize && (value < FRAME_BYTES || value > LARGEST_FRAME_BYTES))
    throw protocolError("MAX_FRAME_SIZE out of its bounds");
}
