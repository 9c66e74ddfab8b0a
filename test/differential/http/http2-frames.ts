/** A client's frames of HTTP/2, and what a server's say: nothing is checked, so that odd requests get through. */
import {
  errorCodes,
  FRAME_BYTES,
  FRAME_HEAD_BYTES,
  type Frame,
  flags,
  frameTypes,
  LARGEST_WINDOW_BYTES,
  preface,
  putFrameHead,
  settingIds,
  settingsAck,
  settingsFrame,
  WINDOW_BYTES,
  windowUpdateFrame,
} from "#shared/http2/frames.ts";
import { HeaderDecoder } from "#shared/http2/header-decoder.ts";
import type { RawAnswer } from "./raw-answer.ts";
import type { Header, RawRequest } from "./raw-request.ts";

function bytesOf(frame: Frame): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + frame.payload.length);
  bytes.set(frame.payload, putFrameHead(bytes, 0, frame));
  return bytes;
}

/** With windows in which every answer fits. */
export const greeting = Buffer.concat([
  preface,
  bytesOf(
    settingsFrame([
      [settingIds.initialWindowSize, LARGEST_WINDOW_BYTES],
      [settingIds.enablePush, 0],
    ]),
  ),
  bytesOf(windowUpdateFrame(0, LARGEST_WINDOW_BYTES - WINDOW_BYTES)),
]);

/** A request on a stream; its body must fit in the server's first window. */
export function requestBytes(
  request: RawRequest,
  headers: readonly Header[],
  stream: number,
): { head: Buffer; body: Buffer } {
  const { method, target, pseudo, body, trailers = [], withheld } = request;
  const first = pseudo ?? [
    [":method", method],
    [":scheme", "https"],
    [":authority", "localhost"],
    [":path", target],
  ];
  const rest = headers.map(([name, value]): Header => [given(name), value]);
  const head = headerFrames([...first, ...rest], stream, body === undefined && trailers.length === 0 && !withheld);
  const parts: Buffer[] = [];
  const bytes = Buffer.from(body ?? "");
  for (let at = 0; at < bytes.length; at += FRAME_BYTES) {
    const isLast = at + FRAME_BYTES >= bytes.length && trailers.length === 0;
    parts.push(
      bytesOf({
        type: frameTypes.data,
        flags: isLast ? flags.endStream : 0,
        stream,
        payload: bytes.subarray(at, at + FRAME_BYTES),
      }),
    );
  }
  if (body !== undefined && bytes.length === 0 && trailers.length === 0)
    parts.push(bytesOf({ type: frameTypes.data, flags: flags.endStream, stream, payload: bytes }));
  if (trailers.length > 0) parts.push(headerFrames(trailers, stream, true));
  return { head, body: Buffer.concat(parts) };
}

/** A name that is meant to be odd begins with `=`. */
const given = (name: string): string => (name.startsWith("=") ? name.slice(1) : name.toLowerCase());

function headerFrames(fields: readonly Header[], stream: number, isLast: boolean): Buffer {
  const block = Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])));
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += FRAME_BYTES) {
    const isEnd = at + FRAME_BYTES >= block.length;
    frames.push(
      bytesOf({
        type: at === 0 ? frameTypes.headers : frameTypes.continuation,
        flags: (isEnd ? flags.endHeaders : 0) | (at === 0 && isLast ? flags.endStream : 0),
        stream,
        payload: block.subarray(at, at + FRAME_BYTES),
      }),
    );
  }
  return Buffer.concat(frames);
}

/** A literal of HPACK (RFC 7541, 5.2), not compressed. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  const length: number[] = [];
  let left = bytes.length;
  if (left < 127) length.push(left);
  else {
    length.push(127);
    for (left -= 127; left >= 128; left = Math.floor(left / 128)) length.push((left % 128) + 128);
    length.push(left);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

interface Stream {
  readonly interim: number[];
  headers: Map<string, string[]> | undefined;
  readonly parts: Uint8Array[];
  isWhole: boolean;
  error: string | undefined;
}

const errorName = (code: number): string =>
  Object.entries(errorCodes).find(([, each]) => each === code)?.[0] ?? String(code);

/** Reads a server's frames; `write` takes what has to be said in return. */
export class Http2AnswerReader {
  /** The error of a GOAWAY. */
  wentAway: string | undefined;
  readonly #streams = new Map<number, Stream>();
  readonly #decoder = new HeaderDecoder(Number.MAX_SAFE_INTEGER);
  readonly #write: (bytes: Buffer) => void;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  stream(id: number): Stream {
    const known = this.#streams.get(id);
    if (known) return known;
    const made: Stream = { interim: [], headers: undefined, parts: [], isWhole: false, error: undefined };
    this.#streams.set(id, made);
    return made;
  }

  /** The answer on a stream that came whole. */
  answer(id: number): RawAnswer | undefined {
    const { headers, interim, parts, isWhole } = this.stream(id);
    if (!headers || !isWhole) return undefined;
    const code = Number(headers.get(":status")?.[0] ?? 0);
    return { code, interim, headers, body: Buffer.concat(parts) };
  }

  read(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      const [type = 0, flag = 0] = this.#bytes.subarray(3, 5);
      this.#take(type, flag, this.#bytes.readUInt32BE(5), this.#bytes.subarray(FRAME_HEAD_BYTES, end));
      this.#bytes = this.#bytes.subarray(end);
    }
  }

  #take(type: number, flag: number, id: number, payload: Buffer): void {
    if (type === frameTypes.settings && (flag & flags.ack) === 0) this.#write(bytesOf(settingsAck));
    if (type === frameTypes.goAway) this.wentAway = errorName(payload.readUInt32BE(4));
    if (type === frameTypes.reset) this.stream(id).error = errorName(payload.readUInt32BE(0));
    if (type === frameTypes.headers) this.#head(id, payload);
    if (type === frameTypes.data) this.stream(id).parts.push(Uint8Array.from(payload));
    if (type <= frameTypes.headers && (flag & flags.endStream) !== 0) this.stream(id).isWhole = true;
  }

  #head(id: number, payload: Buffer): void {
    const { fields } = this.#decoder.decode(payload);
    const headers = new Map<string, string[]>();
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at] ?? "";
      headers.set(name, [...(headers.get(name) ?? []), fields[at + 1] ?? ""]);
    }
    const code = Number(headers.get(":status")?.[0] ?? 0);
    const stream = this.stream(id);
    if (code >= 100 && code < 200) stream.interim.push(code);
    else stream.headers ??= headers;
  }
}
