import { badRequest } from "#shared/api/errors.ts";
import { DecodeError, parseDuration } from "#shared/api/schema/scalars.ts";

const NS_IN_A_MS = 1_000_000n;

/**
 * How long a request may take (ms): what `timeout` in its query says, as far as that is a bound at all; else `longest_ms`. Throws
 * BadRequest for what is no duration (upstream's WithRequestDeadline).
 */
export function timeLimitOf(query: URLSearchParams, longest_ms: number): number {
  const asked = query.get("timeout");
  if (!asked) return longest_ms;
  const asked_ms = durationOf(asked) / NS_IN_A_MS;
  return asked_ms > 0n && asked_ms < longest_ms ? Number(asked_ms) : longest_ms;
}

function durationOf(text: string): bigint {
  try {
    return parseDuration(text);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw badRequest(`invalid timeout specified in the request URL - ${error.message}`);
  }
}
