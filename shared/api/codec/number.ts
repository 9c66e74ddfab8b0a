/**
 * Numbers that a double does not hold as they were written: int64 beyond 2^53, `1.0`, `1e3`. Every other number is a plain
 * one.
 */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };

/** Written back digit by digit by `JSON.stringify`; compared and calculated with as the nearest double. */
export class RawNumber {
  /** @param rawJSON a valid JSON number token. */
  constructor(readonly rawJSON: string) {
    Object.freeze(this);
  }

  toJSON(): object {
    return rawJSON(this.rawJSON);
  }

  valueOf(): number {
    return Number(this.rawJSON);
  }

  toString(): string {
    return this.rawJSON;
  }
}

/** The number for a valid JSON number token: plain where nothing is lost. */
export function numberFromToken(token: string): number | RawNumber {
  const value = Number(token);
  return String(value) === token ? value : new RawNumber(token);
}

/** The number for an integer of any size. */
export function numberFromBigInt(value: bigint): number | RawNumber {
  return numberFromToken(value.toString());
}

export function isRawNumber(value: unknown): value is RawNumber {
  return value instanceof RawNumber;
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
