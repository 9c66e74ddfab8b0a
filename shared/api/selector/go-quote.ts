const escapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;

/** How a byte that is part of no UTF-8 stands in a text: nothing that is text looks so. */
const firstByteText = 0xdc00;
export const byteText = (byte: number): string => String.fromCharCode(byte < 0x80 ? byte : firstByteText + byte);

/** A string as Go's `%q` prints it, for messages that clients compare. */
export function goQuote(text: string): string {
  let out = '"';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const escaped = escapes[character];
    if (escaped !== undefined) out += escaped;
    else if (character === " " || printable.test(character)) out += character;
    else if (code >= firstByteText + 0x80 && code <= firstByteText + 0xff)
      out += `\\x${(code - firstByteText).toString(16)}`;
    else if (code < 0x80) out += `\\x${code.toString(16).padStart(2, "0")}`;
    else if (code < 0x10000) out += `\\u${code.toString(16).padStart(4, "0")}`;
    else out += `\\U${code.toString(16).padStart(8, "0")}`;
  }
  return `${out}"`;
}

/** Strings as Go's `%q` prints a slice of them: `["a" "b"]`. */
export const goQuoteAll = (texts: readonly string[]): string => `[${texts.map(goQuote).join(" ")}]`;

/** Orders strings as Go does, by UTF-8 bytes: UTF-16 code units, but surrogates come after everything else. */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const xSurrogate = x >= 0xd800 && x <= 0xdfff;
    const ySurrogate = y >= 0xd800 && y <= 0xdfff;
    if (xSurrogate !== ySurrogate) return xSurrogate ? 1 : -1;
    return x < y ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}
