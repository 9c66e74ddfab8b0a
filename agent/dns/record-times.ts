import { codeOf, OPT, type PlacedRecord, recordsOf } from "./message.ts";

/** How far behind its type a record's time to live stands, and how long the tail before its data is. */
const TTL_OFFSET = 4;
const TAIL_BYTES = 10;
const SOA = 6;
const ANSWERS_OFFSET = 6;

/** The records of a message that hold for a time; an option's field of that place is something else. */
const timedOf = (message: Buffer): PlacedRecord[] | undefined => recordsOf(message)?.filter(({ type }) => type !== OPT);

/**
 * For how many seconds an answer may be kept: as long as all of its records hold, and that there is nothing as long as the
 * authority says (RFC 2308, 5). undefined: nothing says so, or it cannot be read.
 */
export function lifeOf(answer: Buffer): number | undefined {
  const records = timedOf(answer);
  if (!records || records.length === 0) return undefined;
  const isNegative = codeOf(answer) !== 0 || answer.readUInt16BE(ANSWERS_OFFSET) === 0;
  return Math.min(
    ...records.flatMap(({ type, tail, end }) => {
      const ttl_s = answer.readUInt32BE(tail + TTL_OFFSET);
      const isAuthority = isNegative && type === SOA && end - tail >= TAIL_BYTES + 4;
      return isAuthority ? [ttl_s, answer.readUInt32BE(end - 4)] : [ttl_s];
    }),
  );
}

/** A copy whose records hold no longer than that. One that cannot be read stays as it is. */
export function capped(answer: Buffer, longest_s: number): Buffer {
  const copy = Buffer.from(answer);
  for (const { tail } of timedOf(answer) ?? []) {
    const at = tail + TTL_OFFSET;
    copy.writeUInt32BE(Math.min(copy.readUInt32BE(at), longest_s), at);
  }
  return copy;
}
