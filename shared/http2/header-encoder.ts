import { STATIC_COUNT, staticNames, staticValues } from "./static-table.ts";

/**
 * Answers' header blocks (RFC 7541): names by the static table, values as they are. No dynamic table: what most answers
 * repeat is short, and no state has to be kept for each connection.
 * @param fields name, value, name, value …
 */
export function encodeHeaders(status: number, fields: readonly string[]): Buffer {
  if (scratch.length > SCRATCH_BYTES) scratch = Buffer.allocUnsafe(SCRATCH_BYTES);
  let at = putStatus(status);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? "";
    const value = fields[index + 1] ?? "";
    const needed = at + name.length + value.length + LENGTHS_BYTES;
    if (needed > scratch.length) scratch = Buffer.concat([scratch], 2 * needed);
    at = putName(name, at);
    at = putInteger(value.length, 7, 0, at);
    at += scratch.write(value, at, "latin1");
  }
  const block = Buffer.allocUnsafe(at);
  scratch.copy(block, 0, 0, at);
  return block;
}

const SCRATCH_BYTES = 16 * 1024;
/** More than the lengths of a name and a value take. */
const LENGTHS_BYTES = 16;
let scratch = Buffer.allocUnsafe(SCRATCH_BYTES);

const indexes = new Map<string, number>();
const statusIndexes = new Map<number, number>();
for (let index = STATIC_COUNT; index > 0; index -= 1) {
  indexes.set(staticNames[index] ?? "", index);
  if (staticNames[index] === ":status") statusIndexes.set(Number(staticValues[index]), index);
}

function putStatus(status: number): number {
  const index = statusIndexes.get(status);
  if (index !== undefined) return putInteger(index, 7, 0x80, 0);
  let at = putInteger(indexes.get(":status") ?? 0, 4, 0, 0);
  at = putInteger(3, 7, 0, at);
  return at + scratch.write(String(status), at, "latin1");
}

/** A literal field that no table keeps: the index of its name, or the name. */
function putName(name: string, at: number): number {
  const index = indexes.get(name);
  if (index !== undefined) return putInteger(index, 4, 0, at);
  scratch[at] = 0;
  const after = putInteger(name.length, 7, 0, at + 1);
  return after + scratch.write(name, after, "latin1");
}

function putInteger(value: number, prefix_bits: number, flags: number, at: number): number {
  const mask = (1 << prefix_bits) - 1;
  if (value < mask) {
    scratch[at] = flags | value;
    return at + 1;
  }
  scratch[at] = flags | mask;
  let rest = value - mask;
  let next = at + 1;
  while (rest >= 0x80) {
    scratch[next] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    next += 1;
  }
  scratch[next] = rest;
  return next + 1;
}
