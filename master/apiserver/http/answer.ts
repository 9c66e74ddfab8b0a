/** How an answer is worded for the client that gets it. */
import type { Socket } from "node:net";
import { StatusError } from "#shared/api/errors.ts";
import type { HttpResponse } from "./arrival.ts";
import { negotiate } from "./negotiate.ts";
import { contentTypes, type Packing, type Rendering, valueText } from "./render.ts";

type Form = Omit<Rendering, "packing">;

export function sendStatus(response: HttpResponse, error: StatusError, form: Form = usualForm()): void {
  const { retryAfterSeconds, plainText, headers = {} } = error.options;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (retryAfterSeconds) response.setHeader("retry-after", String(retryAfterSeconds));
  const body = Buffer.from(plainText ?? valueText(error.toStatus(), form));
  response.setHeader(
    "content-type",
    plainText === undefined ? contentTypes[form.accepted.media] : "text/plain; charset=utf-8",
  );
  if (plainText !== undefined) response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("cache-control", "no-cache, private");
  response.setHeader("content-length", body.length);
  response.writeHead(error.code);
  response.end(body);
}

const usualForm = (): Form => ({ accepted: negotiate(undefined), pretty: false });

/** The form of the answer was settled by the handler; what it could not serve it has refused. */
export function acceptedBy(accept: string | undefined): ReturnType<typeof negotiate> {
  try {
    return negotiate(accept);
  } catch (error) {
    if (error instanceof StatusError) return negotiate(undefined);
    throw error;
  }
}

/** What strconv.ParseBool takes for true. */
const goTrue = /^(?:1|t|T|true|TRUE|True)$/;

/** Asked for in Accept or in the query, or read by a person: curl and browsers get lines, as upstream has it. An empty value in
 *  the query asks for nothing. */
export function wantsPretty(query: URLSearchParams, userAgent: string | undefined, accepted: boolean): boolean {
  const asked = query.get("pretty") ?? "";
  if (accepted || asked !== "") return accepted || goTrue.test(asked);
  return /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent ?? "");
}

/** A client of this machine is spared the unpacking: between the two there is no network that a smaller answer would relieve. */
export function packingFor(acceptEncoding: string | undefined, { localAddress, remoteAddress }: Socket): Packing {
  // By its plain name, as upstream looks for it.
  if (!acceptEncoding?.split(",").some((each) => each.trim() === "gzip")) return "none";
  return remoteAddress === localAddress ? "stored" : "compressed";
}

/** Of warnings together, in characters; past it each is cut. */
const MOST_OF_WARNINGS = 4096;
const MOST_OF_ONE_WARNING = 256;

/** Each once; if they are more than a header should hold, their beginnings, as many as fit. */
function warningsThatFit(warnings: readonly string[]): string[] {
  const kept: string[] = [];
  let length = 0;
  let isCutting = false;
  for (const text of new Set(warnings)) {
    if (isCutting && length >= MOST_OF_WARNINGS) break;
    kept.push(text);
    length += Math.min([...text].length, isCutting ? MOST_OF_ONE_WARNING : Number.POSITIVE_INFINITY);
    if (isCutting || length <= MOST_OF_WARNINGS) continue;
    isCutting = true;
    length = kept.reduce((sum, each) => sum + Math.min([...each].length, MOST_OF_ONE_WARNING), 0);
  }
  return isCutting ? kept.map((text) => [...text].slice(0, MOST_OF_ONE_WARNING).join("")) : kept;
}

/** Upstream leaves out what a header cannot hold. */
const isHeaderText = (text: string): boolean => text !== "" && !/\p{Cc}/u.test(text);

/** RFC 7234 warnings with code 299, as clients print them: values of the header. */
export function warningValues(warnings: readonly string[]): string[] {
  const quoted = (text: string): string => text.replace(/[\\"]/g, (character) => `\\${character}`);
  return warningsThatFit(warnings.filter(isHeaderText)).map((text) => `299 - "${encodeHeader(quoted(text))}"`);
}

export function setWarnings(response: HttpResponse, warnings: readonly string[]): void {
  const values = warningValues(warnings);
  if (values.length > 0) response.setHeader("warning", values);
}

/** Header bytes are Latin-1 for node:http; the text is UTF-8. */
const encodeHeader = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
