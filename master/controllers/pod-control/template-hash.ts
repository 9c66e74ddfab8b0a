import { canonicalText } from "../canonical-text.ts";

/** Letters and digits that form no words and cannot be taken for one another (apimachinery util/rand). */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** A short hash of a value fit for names and labels; another `probe` gives another hash after a collision. */
export function shortHash(value: unknown, probe: number | undefined): string {
  const bytes = new TextEncoder().encode(canonicalText(value) + (probe === undefined ? "" : `#${probe}`));
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return [...String(hash)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join("");
}
