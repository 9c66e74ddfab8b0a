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
