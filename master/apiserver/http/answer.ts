/** How an answer is worded for the client that gets it. */
import type { Socket } from "node:net";
import { StatusError } from "#shared/api/errors.ts";
import type { HttpResponse } from "./arrival.ts";
import { negotiate } from "./negotiate.ts";
import { contentTypes, type Packing, valueText } from "./render.ts";

export function sendStatus(response: HttpResponse, error: StatusError, accept?: string): void {
  const { retryAfterSeconds, plainText } = error.options;
  if (retryAfterSeconds) response.setHeader("retry-after", String(retryAfterSeconds));
  const accepted = acceptedBy(accept);
  const text = plainText ?? valueText(error.toStatus(), { accepted, pretty: false });
  const body =
    plainText === undefined && typeof text === "string" ? Buffer.from(`${text.trimEnd()}\n`) : Buffer.from(text);
  response.setHeader(
    "content-type",
    plainText === undefined ? contentTypes[accepted.media] : "text/plain; charset=utf-8",
  );
  response.setHeader("cache-control", "no-cache, private");
  response.setHeader("content-length", body.length);
  response.writeHead(error.code);
  response.end(body);
}

/** The form of the answer was settled by the handler; what it could not serve it has refused. */
export function acceptedBy(accept: string | undefined): ReturnType<typeof negotiate> {
  try {
    return negotiate(accept);
  } catch (error) {
    if (error instanceof StatusError) return negotiate(undefined);
    throw error;
  }
}

/** Asked for, or read by a person: curl and browsers get lines, as upstream has it. */
export function wantsPretty(query: URLSearchParams, userAgent: string | undefined, accepted: boolean): boolean {
  const asked = query.get("pretty");
  if (asked !== null) return asked === "" || asked === "true" || asked === "1";
  return accepted || /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent ?? "");
}

/** A client of this machine is spared the unpacking: between the two there is no network that a smaller answer would relieve. */
export function packingFor(acceptEncoding: string | undefined, { localAddress, remoteAddress }: Socket): Packing {
  if (acceptEncoding === undefined || !/\bgzip\b/.test(acceptEncoding)) return "none";
  return remoteAddress === localAddress ? "stored" : "compressed";
}

/** RFC 7234 warnings with code 299, each once, as clients print them. */
export function setWarnings(response: HttpResponse, warnings: readonly string[]): void {
  const unique = [...new Set(warnings)];
  if (unique.length === 0) return;
  const printable = (text: string): string =>
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be in a header.
    text.replace(/[\u0000-\u001f\u007f]+/g, " ").replace(/[\\"]/g, (character) => `\\${character}`);
  response.setHeader(
    "warning",
    unique.map((text) => `299 - "${encodeHeader(printable(text))}"`),
  );
}

/** Header bytes are Latin-1 for node:http; the text is UTF-8. */
const encodeHeader = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
