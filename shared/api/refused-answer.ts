/** What a server says whose answer is no success: a Status, or whatever stands in its place, in the words of upstream's clients. */
import { StatusError } from "./errors.ts";
import { goQuote } from "./selector/go-quote.ts";
import type { Status } from "./types/meta-v1.generated.ts";

export interface RefusedAnswer {
  /** Of HTTP. */
  readonly code: number;
  readonly body: string;
  /** "": none. */
  readonly contentType: string;
  /** Of the header; NaN: none. */
  readonly retryAfterSeconds?: number | undefined;
}

/** The cause by which it is known that a server's answer was none of the API's. */
const UNEXPECTED = "UnexpectedServerResponse";
const MOST_OF_TEXT = 1000;

/** The Status in an answer, or one that tells its beginning. */
export function refusalOf(answer: RefusedAnswer): StatusError {
  const { code, body, contentType, retryAfterSeconds = Number.NaN } = answer;
  const status = statusIn(body);
  if (status) return StatusError.fromStatus(status, code);
  const text = body.trim().slice(0, MOST_OF_TEXT);
  const isText = contentType === "" || contentType.startsWith("text/");
  return new StatusError(reasonOf(code), text || `the server answered ${code}`, {
    code,
    causes: [{ reason: UNEXPECTED, message: isText ? text : "unknown" }],
    ...(Number.isNaN(retryAfterSeconds) ? {} : { retryAfterSeconds }),
  });
}

/** The text that was answered in place of a Status, `unknown` for what was no text; undefined: it was a Status. */
export function textInPlaceOfStatus({ options: { plainText, causes } }: StatusError): string | undefined {
  return plainText?.trim() ?? causes?.find(({ reason }) => reason === UNEXPECTED)?.message;
}

function statusIn(body: string): Status | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // A proxy between, or a broken body.
    return undefined;
  }
  const isStatus = typeof value === "object" && value !== null && "kind" in value && value.kind === "Status";
  return isStatus ? (value as Status) : undefined;
}

/** As apimachinery's NewGenericServerResponse. */
const wordsOfCode: Readonly<Record<number, string>> = {
  400: "the server rejected our request for an unknown reason",
  401: "the server has asked for the client to provide credentials",
  404: "the server could not find the requested resource",
  405: "the server does not allow this method on the requested resource",
  409: "the server reported a conflict",
  422: "the server rejected our request due to an error in our request",
  429: "the server has received too many requests and has asked us to try again later",
  503: "the server is currently unable to handle the request",
  504: "the server was unable to return a response in the time allotted, but may still be processing the request",
};

/** What upstream's clients make of an answer that is no Status. @param text of the answer, `unknown` where it is none */
export function genericWords(code: number, text: string): string {
  if (code === 403 || code === 415) return text;
  if (code === 406) {
    return text === "" || text === "unknown"
      ? "the server was unable to respond with a content type that the client supports"
      : text;
  }
  const words = wordsOfCode[code];
  if (words) return words;
  if (code >= 500) return `an error on the server (${goQuote(text)}) has prevented the request from succeeding`;
  return `the server responded with the status code ${code} but did not return more information`;
}

/** The reason that NewGenericServerResponse gives. */
function reasonOf(code: number): string {
  const reasons: Readonly<Record<number, string>> = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Gone",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "Timeout",
  };
  return reasons[code] ?? "InternalError";
}
