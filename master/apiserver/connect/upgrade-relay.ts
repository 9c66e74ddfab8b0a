/**
 * A client's connection that leaves HTTP for what a server behind offers: the request is written as the client made it, the
 * answer's head is looked at, and then bytes go both ways as they are (UpgradeAwareHandler of upstream's apimachinery).
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { StatusError } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { writeHead } from "#shared/http/http-over-stream.ts";
import { SWITCHED, upgradeAnswer } from "#shared/http/upgrade-answer.ts";

const FIRST_REFUSAL = 400;
/** For the rest of a refusal whose end only the end of the connection tells (upstream's figure). */
const REFUSED_WITHIN_MS = 10_000;

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
  const answer = await upgradeAnswer(stream).catch((error: unknown) => {
    stream.destroy();
    throw failed(messageOf(error));
  });
  if (answer.status !== SWITCHED && answer.status < FIRST_REFUSAL) {
    stream.destroy();
    throw failed(`invalid upgrade response: status code ${answer.status}`);
  }
  stream.on("error", () => socket.destroy());
  stream.on("close", () => socket.end());
  socket.write(answer.bytes);
  if (answer.status === SWITCHED) {
    if (head.length > 0) stream.write(head);
    socket.pipe(stream);
  } else {
    // What the client sends behind a request that was refused would be another one, in this server's name and judged by nobody
    // (CVE-2018-1002105): it is read, so that its end is seen, and dropped.
    socket.resume();
    endAfter(stream, answer.missing_bytes);
  }
  stream.pipe(socket);
}

function failed(message: string): StatusError {
  return new StatusError("InternalError", message);
}

/** The server would wait for another request on this connection; the client is not going to make one. */
function endAfter(stream: Duplex, missing_bytes = Number.POSITIVE_INFINITY): void {
  if (missing_bytes <= 0) {
    stream.destroy();
    return;
  }
  const late = setTimeout(() => stream.destroy(), REFUSED_WITHIN_MS);
  stream.once("close", () => clearTimeout(late));
  let left_bytes = missing_bytes;
  stream.on("data", (chunk: Buffer) => {
    left_bytes -= chunk.length;
    if (left_bytes <= 0) stream.destroy();
  });
}
