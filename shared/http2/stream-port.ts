import type { ErrorCode, Frame } from "./frames.ts";
import type { Http2Response } from "./response.ts";

/** What the two halves of a stream do by way of their connection. */
export interface StreamPort {
  /** Whatever is pushed in one turn of the event loop leaves in one write. */
  push(frame: Frame): void;
  pushHeaders(stream: number, block: Buffer, endsStream: boolean): void;
  /** Sends of what the response holds as much as client and socket take now; the rest follows as they take more. */
  send(response: Http2Response): void;
  /** Until another answer is worth being made; undefined: it is. */
  whenRoom(): Promise<void> | undefined;
  /** Of the request's data more waits to be read, or less. */
  unread(more_bytes: number): void;
  /** The answer is sent to its end. */
  ended(stream: number): void;
  /** Ends the stream for both sides. */
  reset(stream: number, code: ErrorCode): void;
}
