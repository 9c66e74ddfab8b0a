/**
 * Numbers that a double does not hold as they were written: int64 beyond 2^53, `1.0`, `1e3`. They are kept as the object
 * that `JSON.rawJSON` makes, which `JSON.stringify` writes back digit by digit. Every other number is a plain one.
 */
declare const rawNumberBrand: unique symbol;

export interface RawNumber {
  readonly rawJSON: string;
  readonly [rawNumberBrand]: true;
}

interface RawJSONSupport {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
}

const { rawJSON, isRawJSON } = JSON as unknown as RawJSONSupport;

/** The number for a valid JSON number token: plain where nothing is lost. */
export function numberFromToken(token: string): number | RawNumber {
  const value = Number(token);
  return String(value) === token ? value : rawJSON(token);
}

/** The number for an integer of any size. */
export function numberFromBigInt(value: bigint): number | RawNumber {
  return numberFromToken(value.toString());
}

export function isRawNumber(value: unknown): value is RawNumber {
  return typeof value === "object" && value !== null && isRawJSON(value);
}

/** The token of a number, plain or raw; undefined for anything else. */
export function numberToken(value: unknown): string | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? JSON.stringify(value) : undefined;
  return isRawNumber(value) ? value.rawJSON : undefined;
}

/** An integer as bigint; undefined when the value is no number or is not written as an integer (`1.0`, `1e3`). */
export function integerOf(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : undefined;
  return isRawNumber(value) && /^-?[0-9]+$/.test(value.rawJSON) ? BigInt(value.rawJSON) : undefined;
}
