import { badRequest, StatusError } from "#shared/api/errors.ts";
import { isTrue } from "#shared/http/query-flag.ts";
import type { LogOptions } from "../../runtime/runtime.ts";

/** What a query of /containerLogs asks for (v1.PodLogOptions). The API server has checked its own requests; others come by
 *  themselves. Throws StatusError: BadRequest for what cannot be read, Invalid for what is out of bounds, as upstream's kubelet. */
export function logOptions(query: URLSearchParams): LogOptions {
  const sinceSeconds = wholeNumber(query, "sinceSeconds", 1);
  const sinceTime = query.get("sinceTime");
  const since_ms =
    sinceSeconds !== undefined ? Date.now() - sinceSeconds * 1000 : sinceTime ? moment(sinceTime) : undefined;
  const stream = query.get("stream");
  return {
    follow: isSet(query, "follow"),
    timestamps: isSet(query, "timestamps"),
    tailLines: tailLines(query),
    limit_bytes: wholeNumber(query, "limitBytes", 1),
    since_ms,
    stream: stream === "Stdout" ? "stdout" : stream === "Stderr" ? "stderr" : "all",
  };
}

/** Is the flag there, and not said to be false? */
export const isSet = (query: URLSearchParams, name: string): boolean => isTrue(query.get(name) ?? "false");

/** `tail` is what it was called before there were options. */
function tailLines(query: URLSearchParams): number | undefined {
  const former = query.get("tail");
  if (!former) return wholeNumber(query, "tailLines", 0);
  return former === "all" ? undefined : wholeNumber(query, "tail", 0);
}

function wholeNumber(query: URLSearchParams, name: string, least: number): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^[+-]?[0-9]+$/.test(text)) throw badRequest("Unable to decode query.");
  const value = Number(text);
  if (value < least) throw new StatusError("Invalid", "Invalid request.");
  return value;
}

function moment(text: string): number {
  const at_ms = Date.parse(text);
  if (Number.isNaN(at_ms)) throw badRequest("Unable to decode query.");
  return at_ms;
}
