import { once } from "node:events";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import type { Target } from "../wire/request.ts";
import { Http1AnswerReader } from "./http1-answer-reader.ts";
import { greeting, Http2AnswerReader, requestBytes } from "./http2-frames.ts";
import type { Exchanged, RawAnswer } from "./raw-answer.ts";
import { type Header, headersOf, http1Bytes, type RawRequest } from "./raw-request.ts";

/** A request that nobody answers is given up after this time; every one that is here gets an answer, or an end. */
const ANSWER_WITHIN_MS = 60_000;

/** What shows whether the connection goes on. */
const following: RawRequest = { name: "", over: "http/1.1", method: "GET", target: "/livez" };

/** Sends a request over a connection of its own, and another behind it. */
export async function exchange(target: Target, request: RawRequest): Promise<Exchanged> {
  const who = Object.entries(target.headers);
  const socket = await connected(target, request);
  try {
    return request.over === "h2" ? await byHttp2(socket, request, who) : await byHttp1(socket, request, who);
  } finally {
    socket.destroy();
  }
}

async function connected({ url, tls }: Target, { over, anonymous }: RawRequest): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  const { ca, cert, key } = tls;
  const options: ConnectionOptions & { readonly allowHalfOpen: boolean } = {
    host: hostname,
    port: Number(port),
    ca,
    ALPNProtocols: [over],
    allowHalfOpen: true,
    ...(anonymous || cert === undefined || key === undefined ? {} : { cert, key }),
  };
  const socket = connect(options);
  await once(socket, "secureConnect");
  return socket;
}

/** Tells when bytes have come, or the connection is over. */
class Listener {
  isOver = false;
  #wake: () => void = () => undefined;

  constructor(socket: TLSSocket, read: (bytes: Buffer, isLast: boolean) => void) {
    const over = (): void => {
      if (!this.isOver) read(Buffer.alloc(0), true);
      this.isOver = true;
      this.#wake();
    };
    socket.on("data", (bytes: Buffer) => {
      read(bytes, false);
      this.#wake();
    });
    // Either tells the same as that it has ended.
    socket.on("error", over).on("end", over).on("close", over);
  }

  /** Waits until something holds, or the connection is over. */
  async until(holds: () => boolean, what: string): Promise<void> {
    const end_ms = performance.now() + ANSWER_WITHIN_MS;
    while (!holds() && !this.isOver) {
      const left_ms = end_ms - performance.now();
      if (left_ms <= 0) throw new Error(`nobody answers ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left_ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

async function byHttp1(socket: TLSSocket, request: RawRequest, who: readonly Header[]): Promise<Exchanged> {
  const reader = new Http1AnswerReader([request.method, following.method]);
  const listener = new Listener(socket, (bytes, isLast) => reader.read(bytes, isLast));
  const { head, body } = http1Bytes(request, headersOf(request, who));
  socket.write(request.waits ? head : Buffer.concat([head, body]));
  if (request.waits) {
    await listener.until(() => reader.interim.length > 0 || reader.answers.length > 0, request.name);
    if (reader.answers.length === 0) socket.write(body);
  }
  if (request.ends) socket.end();
  await listener.until(() => reader.answers.length > 0, request.name);
  const [answer] = reader.answers;
  if (request.ends || listener.isOver || answer?.code === 101) return { answer, next: "closed" };
  socket.write(http1Bytes(following, headersOf(following, who)).head);
  await listener.until(() => reader.answers.length > 1, request.name);
  return { answer, next: reader.answers[1]?.code ?? "closed" };
}

async function byHttp2(socket: TLSSocket, request: RawRequest, who: readonly Header[]): Promise<Exchanged> {
  const reader = new Http2AnswerReader((bytes) => void socket.write(bytes));
  const listener = new Listener(socket, (bytes) => reader.read(bytes));
  const has = (id: number): boolean =>
    reader.answer(id) !== undefined ||
    reader.stream(id).error !== undefined ||
    (reader.wentAway ?? "noError") !== "noError";
  const { head, body } = requestBytes(request, headersOf(request, who), 1);
  socket.write(Buffer.concat([greeting, head, body]));
  await listener.until(() => has(1), request.name);
  const answer: RawAnswer | undefined = reader.answer(1);
  const error = answer ? undefined : (reader.stream(1).error ?? reader.wentAway);
  // A server that has answered wants no more of the body, and says so.
  if (answer && request.withheld) await listener.until(() => reader.stream(1).error !== undefined, request.name);
  const reset = answer && reader.stream(1).error;
  if (reader.wentAway !== undefined || listener.isOver) return { answer, error, reset, next: "closed" };
  socket.write(requestBytes(following, headersOf({ ...following, over: "h2" }, who), 3).head);
  await listener.until(() => has(3), request.name);
  return { answer, error, reset, next: reader.answer(3)?.code ?? "closed" };
}
