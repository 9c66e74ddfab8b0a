/**
 * A client's connection that leaves HTTP for what a server behind offers: the request is written as the client made it, the
 * answer's head is looked at, and then bytes go both ways as they are (UpgradeAwareHandler of upstream's apimachinery).
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { StatusError } from "#shared/api/errors.ts";
import { writeHead } from "#shared/http/http-over-stream.ts";

/** Of the answer; nobody needs more. */
const MAX_HEAD_BYTES = 64 * 1024;
const SWITCHED = 101;
const FIRST_REFUSAL = 400;

export interface UpgradingClient {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What the client sent already behind the request. */
  readonly head: Buffer;
}

/**
 * Resolves once the server behind has switched, or refused, which the client is told in its words.
 * @throws StatusError where it answered as if nothing had been asked, or not at all.
 */
export async function relayUpgrade(
  { request, socket, head }: UpgradingClient,
  stream: Duplex,
  path: string,
  headers: readonly string[],
): Promise<void> {
  writeHead(stream, request.method ?? "GET", path, headers);
  const abandon = (): void => void stream.destroy();
  socket.on("close", abandon).on("error", abandon);
  const answer = await answerHead(stream).catch((error: unknown) => {
    stream.destroy();
    throw failed(error instanceof Error ? error.message : String(error));
  });
  if (answer.status !== SWITCHED && answer.status < FIRST_REFUSAL) {
    stream.destroy();
    throw failed(`invalid upgrade response: status code ${answer.status}`);
  }
  stream.on("error", () => socket.destroy());
  stream.on("close", () => socket.end());
  socket.write(answer.bytes);
  // The server would wait for another request on this connection; the client is not going to make one.
  if (answer.status !== SWITCHED) endAfter(stream, answer.missing_bytes);
  else if (head.length > 0) stream.write(head);
  stream.pipe(socket);
  socket.pipe(stream);
}

function failed(message: string): StatusError {
  return new StatusError("InternalError", message);
}

interface AnswerHead {
  readonly status: number;
  /** The head, and what came with it. */
  readonly bytes: Buffer;
  /** Of a body whose length was told. */
  readonly missing_bytes: number | undefined;
}

function answerHead(stream: Duplex): Promise<AnswerHead> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const settle = (end: () => void): void => {
      stream.pause();
      stream.off("data", take).off("end", missing).off("close", missing).off("error", reject);
      end();
    };
    const missing = (): void => settle(() => reject(new Error("unexpected EOF")));
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf("\r\n\r\n");
      if (end < 0 && bytes.length <= MAX_HEAD_BYTES) return;
      const head = bytes.subarray(0, Math.max(0, end)).toString("latin1");
      const [, status] = /^HTTP\/\d\.\d (\d{3})\b/.exec(head) ?? [];
      const [, length] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? [];
      const missing_bytes = length === undefined ? undefined : Number(length) - (bytes.length - end - 4);
      settle(() => {
        if (status === undefined) reject(new Error("malformed HTTP response"));
        else resolve({ status: Number(status), bytes, missing_bytes });
      });
    };
    stream.on("data", take).on("end", missing).on("close", missing).on("error", reject);
  });
}

function endAfter(stream: Duplex, missing_bytes: number | undefined): void {
  if (missing_bytes === undefined) return;
  let left_bytes = missing_bytes;
  const count = (chunk: Buffer): void => {
    left_bytes -= chunk.length;
    if (left_bytes <= 0) stream.destroy();
  };
  if (left_bytes <= 0) stream.destroy();
  else stream.on("data", count);
}
