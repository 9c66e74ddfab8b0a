/** Writes answers to a socket: JSON texts joined as they rest, in chunks, compressed where that pays. */

import { pipeline, Readable } from "node:stream";
import { promisify } from "node:util";
import { createGzip, gzip } from "node:zlib";
import { stringify as stringifyYaml } from "yaml";
import { encodeProtobuf, encodeWatchEvent, protobufContentType } from "#shared/api/codec/protobuf.ts";
import { StatusError } from "#shared/api/errors.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import { nextTurn } from "#shared/process/turn.ts";
import type { ApiResponse, WatchFrame } from "../request.ts";
import type { HttpResponse } from "./arrival.ts";
import {
  COMPRESS_FROM,
  firstText,
  type ListPart,
  type ListParts,
  ListsUnderWay,
  type Members,
  type MemberText,
  type PartForm,
} from "./list-parts.ts";
import { inTurns, jsonPieces, type ListAnswer, listValue, memberText } from "./list-pieces.ts";
import type { Accepted } from "./negotiate.ts";
import { gzipOfList, PieceCache } from "./shared-gzip.ts";
import { SharedLines } from "./shared-lines.ts";
import { endWith, Sink } from "./sink.ts";
import { StoredStream, storedBlocks, storedGzip } from "./stored-gzip.ts";

const WORTH_A_WRITE = 48 * 1024;
/** Length from which a body waits until its connection has room: a hundred streams of smaller ones hold little. */
const WORTH_WAITING = 16 * 1024;
/** An answer without a body, and without a length of one. */
const NO_CONTENT = 204;
const compress = promisify(gzip);
/** Of all lists of this process. */
const pieces = new PieceCache();

/** How a large answer travels to a client that takes gzip: compressed, or stored in gzip's framing; `none` for one that does not. */
export type Packing = "none" | "stored" | "compressed";

export interface Rendering {
  readonly accepted: Accepted;
  readonly packing: Packing;
  readonly pretty: boolean;
}

const jsonType = "application/json";

/** Sends a whole answer. Resolves when the last byte is handed to the socket, or the client is gone. */
export async function render(response: HttpResponse, answer: ApiResponse, asked: Rendering): Promise<void> {
  const settled = answer.kind === "bytes" ? undefined : answer.accepted;
  const rendering = settled ? { ...asked, accepted: settled, pretty: asked.pretty || settled.pretty } : asked;
  switch (answer.kind) {
    case "object":
      return renderText(response, answer.code, () => objectText(answer, rendering), rendering);
    case "list":
      if (rendering.accepted.media !== "json")
        return renderText(response, answer.code, () => valueText(listValue(answer), rendering), rendering);
      return answer.shape || rendering.pretty
        ? renderPieces(response, answer, rendering)
        : renderList(response, answer, rendering);
    case "bytes":
      return renderBytes(response, answer);
    case "watch":
      return renderWatch(response, answer.frames, rendering);
  }
}

function objectText(answer: Extract<ApiResponse, { kind: "object" }>, rendering: Rendering): string | Uint8Array {
  return rendering.accepted.media === "json" && !rendering.pretty
    ? `${answer.text()}\n`
    : valueText(answer.value(), rendering);
}

/** A value in the form that is accepted. JSON ends with a line break unless it is indented: upstream's encoder of Go has it so. */
export function valueText(value: object, { accepted, pretty }: Omit<Rendering, "packing">): string | Uint8Array {
  switch (accepted.media) {
    case "json":
      return pretty ? JSON.stringify(value, undefined, 2) : `${JSON.stringify(value)}\n`;
    case "yaml":
      return stringifyYaml(JSON.parse(JSON.stringify(value)), { aliasDuplicateObjects: false });
    case "protobuf": {
      const { apiVersion = "", kind = "" } = value as { apiVersion?: string; kind?: string };
      return encodeProtobuf({ ...parseApiVersion(apiVersion), kind }, value as Record<string, unknown>);
    }
  }
}

export const contentTypes = { json: jsonType, yaml: "application/yaml", protobuf: protobufContentType } as const;

/** @param make makes the body: once more where it is large, and has to wait until the client has taken others. */
async function renderText(
  response: HttpResponse,
  code: number,
  make: () => string | Uint8Array,
  rendering: Rendering,
): Promise<void> {
  const { accepted, packing } = rendering;
  let body: string | Uint8Array | undefined = make();
  // What is small goes past: a lease is renewed by the connection by which a long list comes down a slow link.
  const waiting = body.length >= WORTH_WAITING ? response.whenRoom?.() : undefined;
  if (waiting) {
    body = undefined;
    await waiting;
    if (isOver(response)) return;
    body = make();
  }
  let bytes: Uint8Array = typeof body === "string" ? Buffer.from(body) : body;
  const isPacked = packing !== "none" && bytes.length >= COMPRESS_FROM;
  if (isPacked) bytes = await compress(bytes, { level: packing === "stored" ? 0 : 1 });
  if (isOver(response)) return;
  response.setHeader("content-type", contentTypes[accepted.media]);
  if (isPacked) setPacked(response);
  response.setHeader("content-length", bytes.length);
  response.writeHead(code);
  endWith(response, bytes);
}

/** Whether the client has gone, or has been told that it took too long. */
const isOver = ({ destroyed, headersSent }: HttpResponse): boolean => destroyed || headersSent;

function setPacked(response: HttpResponse): void {
  response.setHeader("content-encoding", "gzip");
  response.setHeader("vary", "Accept-Encoding");
}

async function renderBytes(response: HttpResponse, answer: Extract<ApiResponse, { kind: "bytes" }>): Promise<void> {
  if (answer.contentType !== "") response.setHeader("content-type", answer.contentType);
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  const { body } = answer;
  if (typeof body === "string" || body instanceof Uint8Array) {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    if (answer.code !== NO_CONTENT) response.setHeader("content-length", bytes.length);
    response.writeHead(answer.code);
    endWith(response, bytes);
    return;
  }
  response.writeHead(answer.code);
  const sink = new Sink(response);
  try {
    for await (const chunk of body) if (!(await sink.write(chunk))) return;
  } catch (error) {
    // Whoever asked has gone, and what the answer came from was let go for that.
    if (response.destroyed) return;
    throw error;
  }
  response.end();
}

/** A list is its objects' texts joined; between parts the event loop gets its turn. */
async function renderList(response: HttpResponse, answer: ListAnswer, rendering: Rendering): Promise<void> {
  const { code, apiVersion, listKind, metadata, items, isBare } = answer;
  const members: Members = { items, isBare, textOf: memberText(answer) };
  const { packing } = rendering;
  const head = `{"kind":${JSON.stringify(listKind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":${JSON.stringify(metadata)},"items":[`;
  const form: PartForm = packing === "none" ? "plain" : "stored";
  const shared = packing === "compressed" ? undefined : listsUnderWay.join(members, form);
  const first = shared ? undefined : firstText(members, form);
  if (first && first.next >= items.length)
    return renderText(response, code, () => head + first.text + LIST_END, rendering);
  response.setHeader("content-type", jsonType);
  if (packing !== "none") setPacked(response);
  response.writeHead(code);
  if (packing === "compressed") return renderParts(response, gzipOfList(pieces, head, members, LIST_END));
  const list = shared ?? listsUnderWay.begin(members, form);
  try {
    await renderParts(response, form === "stored" ? storedList(list, head, first) : plainList(list, head, first));
  } finally {
    listsUnderWay.leave(list);
  }
}

const LIST_END = "]}\n";
const listsUnderWay = new ListsUnderWay();

async function* plainList(list: ListParts, head: string, first: MemberText | undefined): AsyncGenerator<Uint8Array> {
  yield Buffer.from(head);
  for await (const { bytes } of partsInTurns(list, first)) yield bytes;
  yield Buffer.from(LIST_END);
}

async function* storedList(list: ListParts, head: string, first: MemberText | undefined): AsyncGenerator<Uint8Array> {
  const stream = new StoredStream();
  yield stream.head;
  yield stream.take(storedBlocks(head));
  for await (const part of partsInTurns(list, first)) yield stream.take(part);
  yield stream.take(storedBlocks(LIST_END));
  yield stream.end();
}

/** @param first the list's first text, where it was needed already. */
async function* partsInTurns(list: ListParts, first: MemberText | undefined): AsyncGenerator<ListPart> {
  for (let from = 0; from < list.members.items.length; ) {
    const part = from === 0 && first ? list.make(first) : list.partAt(from);
    yield part;
    from = part.next;
    await nextTurn();
  }
}

/** A list whose members are made for this answer: in turns, so that the largest holds nobody up. */
async function renderPieces(response: HttpResponse, answer: ListAnswer, rendering: Rendering): Promise<void> {
  const chunks = inTurns(jsonPieces(answer, rendering.pretty ? "indented" : "compact"));
  const first = (await chunks.next()).value ?? "";
  const second = await chunks.next();
  if (isOver(response)) return;
  if (second.done) return renderText(response, answer.code, () => first, rendering);
  const rest = resumed([first, second.value], chunks);
  const { packing } = rendering;
  response.setHeader("content-type", jsonType);
  if (packing !== "none") setPacked(response);
  response.writeHead(answer.code);
  if (packing === "none") return renderParts(response, bytesOf(rest));
  if (packing === "stored") return renderParts(response, storedGzip(rest));
  // The compressor has a thread of its own and takes a chunk at a time.
  const compressed = createGzip({ level: 1 });
  // Either end's failure ends the other; it is thrown where the parts are read.
  pipeline(Readable.from(rest), compressed, () => undefined);
  return renderParts(response, compressed);
}

async function* resumed(head: readonly string[], rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield* head;
  yield* rest;
}

async function* bytesOf(chunks: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Buffer.from(chunk);
}

/** Of answers that were sent in parts, in bytes. */
const sizes = new WeakMap<HttpResponse, number>();

export const sizeOfParts = (response: HttpResponse): number | undefined => sizes.get(response);

/** Small parts are gathered, so that each write is worth its system call. */
async function renderParts(response: HttpResponse, parts: AsyncIterable<Uint8Array>): Promise<void> {
  const sink = new Sink(response);
  let gathered: Uint8Array[] = [];
  let size = 0;
  let whole_bytes = 0;
  const flush = (): Promise<boolean> => {
    const [only] = gathered;
    const bytes = only && gathered.length === 1 ? only : Buffer.concat(gathered, size);
    gathered = [];
    size = 0;
    return sink.write(bytes);
  };
  for await (const part of parts) {
    gathered.push(part);
    size += part.length;
    whole_bytes += part.length;
    if (size >= WORTH_A_WRITE && !(await flush())) return;
  }
  if (size > 0 && !(await flush())) return;
  sizes.set(response, whole_bytes);
  response.end();
}

/** One JSON document a line, as long as both sides stay. */
async function renderWatch(
  response: HttpResponse,
  frames: AsyncIterable<WatchFrame>,
  { accepted }: Rendering,
): Promise<void> {
  const inProtobuf = accepted.media === "protobuf";
  const lines = inProtobuf ? protobufLines : jsonLines;
  response.setHeader("content-type", inProtobuf ? `${protobufContentType};stream=watch` : jsonType);
  response.setHeader("cache-control", "no-cache, private");
  response.writeHead(200);
  response.flushHeaders();
  const sink = new Sink(response);
  try {
    for await (const frame of frames) {
      const line = lines.take(frame);
      try {
        if (!(await sink.write(line.bytes, line.untaken))) return;
      } finally {
        lines.leave(frame, line);
      }
    }
  } catch (error) {
    const status = error instanceof StatusError ? error.toStatus() : undefined;
    if (status) await sink.write(lines.take(errorFrame(status)).bytes);
    else throw error;
  } finally {
    response.end();
  }
}

/** How a watch that fails on its way tells its client. */
export const errorFrame = (status: object): WatchFrame => ({
  type: "ERROR",
  weight: 0,
  view: () => status,
  text: () => JSON.stringify(status),
});

function frameBytes(frame: WatchFrame): Uint8Array {
  const object = frame.view() as { apiVersion?: string; kind?: string };
  const { apiVersion = "", kind = "" } = object;
  return encodeWatchEvent(frame.type, { ...parseApiVersion(apiVersion), kind }, object as Record<string, unknown>);
}

export const frameLine = (frame: WatchFrame): string => `{"type":"${frame.type}","object":${frame.text()}}\n`;

const jsonLines = new SharedLines((frame) => Buffer.from(frameLine(frame)));
const protobufLines = new SharedLines(frameBytes);
