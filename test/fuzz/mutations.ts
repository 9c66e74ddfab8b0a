/** What goes wrong with bodies and texts: bytes, structure, numbers, encodings. */
import type { Random } from "./random.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Stands in a value where this text belongs: JSON has more than JavaScript's values can say. */
const RAW = "\u0001raw:";
const raw = (text: string): string => RAW + text;

export const oddTexts: readonly string[] = [
  "",
  " ",
  "\u0000",
  "../../etc/passwd",
  "__proto__",
  "constructor",
  "\ud800",
  "\u202eabc",
  "a".repeat(254),
  "%00",
  "A_B",
  "-",
  ".",
  "..",
  "9".repeat(40),
  "1e999999999",
  "0x10",
  "1Ei".repeat(30),
  "$(HOME)",
  "((((((((((a+)+)+)+)+)+)+)+)+)+)$",
  "has(self.x) && self.all(x, x)",
  "{{.}}",
  "2026-13-45T99:99:99Z",
  "::ffff:1.2.3.4/200",
  "é".repeat(100),
];

/** What all mutations of one value may add to it together: a mutation of a mutation would multiply it otherwise. */
const GROWTH_BYTES = 1_500_000;

/** How many bytes a value may still grow by. */
class Growth {
  #left_bytes = GROWTH_BYTES;

  /** Takes the bytes, where there are so many left. */
  take(bytes: number): boolean {
    if (bytes > this.#left_bytes) return false;
    this.#left_bytes -= bytes;
    return true;
  }

  /** One of these sizes, in units of so many bytes; the first, the smallest, where the chosen one is too much. */
  size(random: Random, sizes: readonly [number, ...number[]], unit_bytes: number): number {
    const chosen = random.pick(sizes);
    return this.take(chosen * unit_bytes) ? chosen : sizes[0];
  }

  /** Copies of a value, as many as there is room for. */
  copies(value: Json, times: number): Json[] {
    const bytes = sizeOf(value, this.#left_bytes + 1);
    const copied: Json[] = [];
    while (copied.length < times && this.take(bytes)) copied.push(structuredClone(value));
    return copied;
  }
}

/** About the bytes of a value's text; it stops to count above `most`. */
function sizeOf(value: Json, most: number): number {
  let bytes = 0;
  const waiting: Json[] = [value];
  for (let next = waiting.pop(); next !== undefined && bytes <= most; next = waiting.pop()) {
    bytes += typeof next === "string" ? next.length + 3 : 6;
    if (next === null || typeof next !== "object") continue;
    for (const [key, inner] of Object.entries(next)) {
      bytes += key.length + 4;
      waiting.push(inner);
    }
  }
  return bytes;
}

const oddValues: readonly ((random: Random, growth: Growth) => Json)[] = [
  () => null,
  () => [],
  () => ({}),
  () => true,
  () => -1,
  () => 0.1,
  () => raw("1e999"),
  () => raw("-0"),
  () => raw("9223372036854775808"),
  () => raw("-9223372036854775809"),
  () => raw("1.0"),
  (random) => raw("9".repeat(random.between(20, 4000))),
  (random, growth) => raw(nested("[", "]", growth.size(random, [10, 511, 513, 10_000, 10_000, 200_000], 2))),
  (random, growth) => raw(nested('{"a":', "}", growth.size(random, [10, 511, 513, 10_000, 10_000, 100_000], 6), "1")),
  () => raw('{"a":1,"a":2,"a":{"a":1,"a":2}}'),
  () => raw('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  () => raw('"\\ud800"'),
  () => raw('"\\u0000"'),
  (random, growth) => "x".repeat(growth.size(random, [300, 300, 300, 70_000, 70_000, 1_100_000], 1)),
  (random, growth) => Array.from({ length: growth.size(random, [10, 1000, 20_000], 6) }, (_, index) => index),
  (random, growth) =>
    Array.from({ length: growth.size(random, [10, 1000], 28) }, () => ({ name: "same", value: null })),
  (random, growth) =>
    Object.fromEntries(Array.from({ length: growth.size(random, [10, 5000], 12) }, (_, index) => [`k${index}`, "v"])),
  (random) => random.pick(oddTexts),
];

function nested(open: string, close: string, depth: number, inner = ""): string {
  return open.repeat(depth) + inner + close.repeat(depth);
}

/** Replaces, drops, doubles or moves parts of a value. */
export function mutateValue(value: Json, random: Random): Json {
  const growth = new Growth();
  let changed = structuredClone(value);
  for (let left = random.between(1, 3); left > 0; left -= 1) changed = mutateOnce(changed, random, growth);
  return changed;
}

function mutateOnce(value: Json, random: Random, growth: Growth): Json {
  const places = placesIn(value);
  if (places.length === 0) return random.pick(oddValues)(random, growth);
  const { holder, key } = random.pick(places);
  const at = holder as Record<string, Json>;
  switch (random.below(7)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete at[key];
      break;
    case 1:
      at[key] = growth.copies(random.pick(places).holder, 1)[0] ?? null;
      break;
    case 2:
      if (!Array.isArray(holder)) at[random.pick(oddTexts)] = at[key] ?? null;
      else holder.push(...growth.copies(at[key] ?? null, random.pick([1, 100])));
      break;
    default:
      at[key] = random.pick(oddValues)(random, growth);
  }
  return value;
}

/** Every place within a value that holds another, the first thousands of them. */
function placesIn(value: Json): { holder: Json; key: string }[] {
  const places: { holder: Json; key: string }[] = [];
  const waiting: Json[] = [value];
  for (let next = waiting.pop(); next !== undefined && places.length < 4000; next = waiting.pop()) {
    if (next === null || typeof next !== "object") continue;
    for (const [key, inner] of Object.entries(next)) {
      places.push({ holder: next, key });
      waiting.push(inner);
    }
  }
  return places;
}

/** JSON text with what stands raw in the value. */
export function textOf(value: Json): string {
  const raws: string[] = [];
  const text = JSON.stringify(value, (_, each: Json) => {
    if (typeof each !== "string" || !each.startsWith(RAW)) return each;
    raws.push(each.slice(RAW.length));
    return `${RAW}${raws.length - 1}`;
  });
  return text.replace(/"\\u0001raw:(\d+)"/g, (_, index) => raws[Number(index)] ?? "");
}

/** Flips, drops, doubles, inserts or cuts bytes. */
export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let left = random.between(1, 4); left > 0; left -= 1) changed = mutateBytesOnce(changed, random);
  return changed;
}

function mutateBytesOnce(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length);
  const end = Math.min(bytes.length, at + random.between(1, 40));
  const before = bytes.subarray(0, at);
  const after = bytes.subarray(at);
  switch (random.below(6)) {
    case 0:
      if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      return before;
    case 2:
      return Buffer.concat([before, bytes.subarray(end)]);
    case 3:
      return Buffer.concat([before, bytes.subarray(at, end), after]);
    case 4:
      return Buffer.concat([before, random.bytes(random.between(1, 8)), after]);
    default:
      return Buffer.concat([before, random.pick(oddBytes), after]);
  }
}

/** Bad UTF-8, byte order marks, varints without end, ends of lines. */
const oddBytes: readonly Buffer[] = [
  "00",
  "c080",
  "eda080",
  "f4908080",
  "efbbbf",
  "fffe",
  "ffffffffffffffffffff7f",
  "0d0a0d0a",
  "8080808080808080808080",
  "7f",
].map((hex) => Buffer.from(hex, "hex"));

export type { Json };
