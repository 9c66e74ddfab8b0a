/** Writes to clients that may read slower than the server writes, and bounds what waits for all of them. */
import { connectionLimits } from "#shared/http/connections.ts";
import { UnreadBytes, type UnreadStream } from "#shared/http/unread-bytes.ts";
import { garbage } from "#shared/process/garbage.ts";
import type { HttpResponse } from "./arrival.ts";

/** Larger bodies are not worth the copy that joining them with their head takes. */
const JOIN_UP_TO = 64 * 1024;
/** Of all answers together. A few connections may carry thousands, each with an object of a megabyte. */
const MOST_UNTAKEN_BYTES = 64 * 1024 * 1024;

const allUntaken = new UnreadBytes(MOST_UNTAKEN_BYTES);

/** What is left by ending it. */
interface Waiting {
  destroy(): unknown;
}

/** Bytes that wait for clients, for many where all are sent the same. Where there is too much for all, those who wait are left. */
export class Untaken implements UnreadStream {
  readAt_ms = 0;
  readonly #bytes: number;
  readonly #waiting = new Set<Waiting>();

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Until `taken`; it may be destroyed at once. */
  waits(response: Waiting): void {
    this.#waiting.add(response);
    if (this.#waiting.size > 1) return;
    this.readAt_ms = performance.now();
    allUntaken.count(this, this.#bytes);
  }

  taken(response: Waiting): void {
    if (this.#waiting.delete(response) && this.#waiting.size === 0) allUntaken.count(this, 0);
  }

  destroy(): void {
    for (const response of [...this.#waiting]) response.destroy();
  }
}

/** By HTTP/1.1, head, framing and body leave in one write: one TLS record and one system call instead of up to four. */
export function joined<T>({ socket }: HttpResponse, write: () => T): T {
  socket?.cork();
  try {
    return write();
  } finally {
    socket?.uncork();
  }
}

/** Waits where the client reads slower than the server writes; one that reads nothing is left. */
export class Sink {
  readonly #response: HttpResponse;

  constructor(response: HttpResponse) {
    this.#response = response;
  }

  /**
   * False when the client is gone.
   * @param untaken of a chunk that others are sent too.
   */
  async write(chunk: string | Uint8Array, untaken?: Untaken): Promise<boolean> {
    const response = this.#response;
    if (response.destroyed) return false;
    if (chunk.length > JOIN_UP_TO ? response.write(chunk) : joined(response, () => response.write(chunk))) return true;
    const waiting = untaken ?? new Untaken(chunk.length);
    await new Promise<void>((resolve) => {
      const stalled = setTimeout(() => response.destroy(), connectionLimits.stalledFor_ms);
      const done = (): void => {
        clearTimeout(stalled);
        waiting.taken(response);
        response.removeListener("drain", done);
        response.removeListener("close", done);
        resolve();
      };
      response.once("drain", done);
      response.once("close", done);
      waiting.waits(response);
    });
    return !response.destroyed;
  }
}

/** Sends all there is, at once. What the client does not take for now waits. */
export function endWith(response: HttpResponse, bytes: Uint8Array): void {
  if (bytes.length <= JOIN_UP_TO) {
    joined(response, () => response.end(bytes));
    return;
  }
  response.end(bytes);
  garbage.left(bytes.length);
  if (response.writableFinished || response.closed) return;
  const waiting = new Untaken(bytes.length);
  const done = (): void => waiting.taken(response);
  response.once("finish", done);
  response.once("close", done);
  waiting.waits(response);
}
