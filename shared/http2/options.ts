import type { Http2Request } from "./request.ts";
import type { Http2Response } from "./response.ts";

export interface Http2Options {
  /** Requests that a client may have under way at once. */
  readonly maxStreams: number;
  /** Of one request's header list, and of what it is sent as. */
  readonly maxHeaders_bytes: number;
  /** For a client to take some of what is written; one that takes nothing is left (ms). */
  readonly stalledFor_ms: number;
  /** For data that nobody has read yet. Absent: each stream is bounded by its window alone. */
  readonly room?: DataRoom | undefined;
}

/** What all connections share for data that is not read yet. */
export interface DataRoom {
  /** @param bytes that are held for it now; it may have to make way at once. */
  count(user: { makeWay(): void }, bytes: number): unknown;
}

/** Answers one request. Resolves when nothing of it goes on any more, answered or not; never rejects. */
export type Http2Handler = (request: Http2Request, response: Http2Response) => Promise<void>;
