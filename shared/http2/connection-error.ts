import { type ErrorCode, errorCodes } from "./frames.ts";

/** An error for the whole connection (RFC 9113, 5.4.1). */
export class ConnectionError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export const protocolError = (message: string): ConnectionError =>
  new ConnectionError(errorCodes.protocolError, message);
/** The client asks for more than it is given. */
export const calm = (message: string): ConnectionError => new ConnectionError(errorCodes.enhanceYourCalm, message);

/** Throws ConnectionError for the payload of a frame that has always the same length, and not this one. */
export function requireLength(payload: Uint8Array, bytes: number, frame: string): void {
  if (payload.length !== bytes) throw new ConnectionError(errorCodes.frameSizeError, `${frame} of another size`);
}
