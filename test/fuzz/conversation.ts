import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { FuzzCase } from "./fuzz-case.ts";
import { Http2AnswerReader } from "./http2-answers.ts";
import { JUDGED_BYTES } from "./judge.ts";

/** Where the server is, and how its admin is known there. */
export interface Place {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Outcome {
  /** Of answers whose head came whole; informational ones left out. */
  readonly codes: readonly number[];
  /** As much as is worth showing. */
  readonly text: string;
  /** closed: by the server; waited: the client has given up. */
  readonly end: "answered" | "closed" | "waited" | "left";
}

/** An answer that should come does so within this time on any machine. */
const ANSWER_WITHIN_MS = 100_000;
/** How long the client looks at what comes where nothing has to. */
const LOOK_FOR_MS = 150;

/** Sends a request as the case has it, over a connection of its own, and tells what came back. */
export async function converse(place: Place, { over, as, ending, head, rest }: FuzzCase): Promise<Outcome> {
  const socket = await connected(place, over, as);
  if (!socket) return { codes: [], text: "", end: "closed" };
  const answers = over === "h2" ? new Http2AnswerReader() : new AnswerReader();
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      isClosed = true;
      resolve();
    });
  });
  // The server may end a connection at any time; that it is over shows by the event after.
  socket.on("error", () => socket.destroy());
  const news = waiter();
  socket.on("data", (bytes: Buffer) => {
    answers.read(bytes);
    news.ring();
  });
  const isDone = (): boolean =>
    ending === "answer" ? answers.whole > 0 : ending === "begin" && answers.codes.length > 0;
  socket.write(ending === "begin" ? head : Buffer.concat([head, rest]));
  const until_ms = performance.now() + (ending === "leave" ? LOOK_FOR_MS : ANSWER_WITHIN_MS);
  while (!isDone() && !isClosed && performance.now() < until_ms) {
    await Promise.race([closed, news.next(until_ms - performance.now())]);
  }
  if (ending === "begin" && !isClosed) {
    socket.write(rest);
    await Promise.race([closed, news.next(LOOK_FOR_MS)]);
  }
  const end = isDone() ? "answered" : isClosed ? "closed" : ending === "leave" ? "left" : "waited";
  socket.destroy();
  if (!isClosed) await closed;
  return { codes: answers.codes, text: answers.text, end };
}

async function connected(
  { port, ca, cert, key }: Place,
  over: FuzzCase["over"],
  as: string,
): Promise<Socket | undefined> {
  const options = { host: "127.0.0.1", port };
  const ALPNProtocols = over === "h2" ? ["h2"] : [];
  const socket =
    over === "tcp"
      ? connectTcp(options)
      : connectTls({ ...options, ca, ALPNProtocols, ...(as === "admin" ? { cert, key } : {}) });
  try {
    await once(socket, over === "tcp" ? "connect" : "secureConnect");
    return socket;
  } catch {
    socket.destroy();
    return undefined;
  }
}

/** One bell that whoever waits hears, or the end of the time. */
function waiter(): { ring(): void; next(within_ms: number): Promise<void> } {
  let wake: () => void = () => undefined;
  return {
    ring: () => wake(),
    next: (within_ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, within_ms));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
  };
}

/** Reads HTTP/1.1 answers out of a stream, strictly. */
class AnswerReader {
  readonly codes: number[] = [];
  whole = 0;
  text = "";
  #bytes: Buffer = Buffer.alloc(0);
  #left: number | "head" | "chunk" | "trailer" | "close" = "head";

  read(bytes: Buffer): void {
    if (this.text.length < JUDGED_BYTES) this.text += bytes.subarray(0, JUDGED_BYTES).toString("latin1");
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    while (this.#step());
  }

  #step(): boolean {
    switch (this.#left) {
      case "head":
        return this.#head();
      case "chunk":
        return this.#chunk();
      case "trailer":
        return this.#line((line) => {
          if (line === "") this.#end();
        });
      case "close":
        this.#bytes = Buffer.alloc(0);
        return false;
      default:
        return this.#body(this.#left);
    }
  }

  #line(use: (line: string) => void): boolean {
    const end = this.#bytes.indexOf("\r\n");
    if (end < 0) return false;
    const line = this.#bytes.subarray(0, end).toString("latin1");
    this.#bytes = this.#bytes.subarray(end + 2);
    use(line);
    return true;
  }

  #head(): boolean {
    const end = this.#bytes.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const head = this.#bytes.subarray(0, end).toString("latin1");
    this.#bytes = this.#bytes.subarray(end + 4);
    const code = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? Number.NaN);
    if (code === 100) return true;
    this.codes.push(code);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (code === 101 || Number.isNaN(code)) this.#left = "close";
    else if (code === 204 || code === 304) this.#end();
    else if (/\r\ntransfer-encoding: *chunked/i.test(head)) this.#left = "chunk";
    else if (length === undefined) this.#left = "close";
    else this.#left = Number(length);
    return true;
  }

  #body(length: number): boolean {
    if (this.#bytes.length < length) return false;
    this.#bytes = this.#bytes.subarray(length);
    this.#end();
    return this.#bytes.length > 0;
  }

  #chunk(): boolean {
    const end = this.#bytes.indexOf("\r\n");
    if (end < 0) return false;
    const size = Number.parseInt(this.#bytes.subarray(0, end).toString("latin1"), 16);
    if (size === 0) {
      this.#bytes = this.#bytes.subarray(end + 2);
      this.#left = "trailer";
      return true;
    }
    if (this.#bytes.length < end + 2 + size + 2) return false;
    this.#bytes = this.#bytes.subarray(end + 2 + size + 2);
    return true;
  }

  #end(): void {
    this.whole += 1;
    this.#left = "head";
  }
}
