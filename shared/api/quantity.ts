/**
 * Resource quantities (`100m`, `1.5Gi`, `12e6`) with the rules of apimachinery's resource package: exact, rounded up to
 * whole nanos, remembered in the notation in which they were given, written in canonical form.
 */
export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

/** A quantity: unscaled × 10^scale. Immutable; `text` is set where upstream keeps what was typed as it is. */
export interface Quantity {
  readonly unscaled: bigint;
  readonly scale: number;
  readonly format: QuantityFormat;
  readonly text?: string | undefined;
}

/** Thrown for text that is no quantity, with upstream's message. */
export class QuantityError extends Error {
  override readonly name = "QuantityError";
}

const pattern = /^([+-]?)([0-9]*)(\.[0-9]*)?((?:[eEinumkKMGTP]+[-+]?|[-+])[0-9]*)?$/;
/** Upstream has no such limit either, but works for as long as it takes over what is no quantity of anything. */
const LONGEST = 1024;
const formatWrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const decimalSuffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const binarySuffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const maxInt64 = 2n ** 63n - 1n;
/** Largest power of ten that is read; upstream has no limit, but no quantity of anything needs more. */
const maxExponent = 400;
const nano = -9;

export const zeroQuantity: Quantity = { unscaled: 0n, scale: 0, format: "DecimalSI" };

/** Parses a quantity from JSON (text or number). Throws QuantityError. */
export function parseQuantity(value: string | number): Quantity {
  const source = typeof value === "number" ? numberText(value) : value.trim();
  if (source === "" || source.length > LONGEST) throw new QuantityError(formatWrong);
  const match = pattern.exec(source);
  if (!match) throw new QuantityError(formatWrong);
  const [, sign = "", digits = "", point = "", suffix = ""] = match;
  const whole = digits.replace(/^0+/, "");
  const fraction = point.slice(1);
  const { format, exponent } = parseSuffix(suffix);
  const mantissa = whole === "" ? `0${fraction}` : whole + fraction;
  let unscaled = BigInt(mantissa);
  const keepText = keepsText(unscaled, mantissa, (whole || "0").length, fraction.length, format, exponent);
  let scale = -fraction.length;
  if (format === "BinarySI") unscaled <<= BigInt(exponent);
  else scale += exponent;
  if (scale < nano && unscaled !== 0n) {
    unscaled = divideUp(unscaled, 10n ** BigInt(nano - scale));
    scale = nano;
  }
  let shown = format;
  if (format === "BinarySI") {
    if (scaleTo({ unscaled, scale, format }, 0) > maxInt64) [unscaled, scale] = [maxInt64, 0];
    else if (unscaled > 0n && unscaled < 10n ** BigInt(-scale)) shown = "DecimalSI";
  }
  if (sign === "-") unscaled = -unscaled;
  return { unscaled, scale, format: shown, text: keepText ? source : undefined };
}

/** JavaScript's notation of a number read as JSON: `1e+21` is written as `1e21`. */
function numberText(value: number): string {
  return String(value).replace("e+", "e");
}

function parseSuffix(suffix: string): { format: QuantityFormat; exponent: number } {
  const decimal = decimalSuffixes.indexOf(suffix);
  if (decimal >= 0) return { format: "DecimalSI", exponent: (decimal - 3) * 3 };
  const binary = binarySuffixes.indexOf(suffix);
  if (binary > 0) return { format: "BinarySI", exponent: binary * 10 };
  if (/^[eE][-+]?[0-9]+$/.test(suffix)) {
    const exponent = Number(suffix.slice(1));
    if (Math.abs(exponent) <= maxExponent) return { format: "DecimalExponent", exponent };
  }
  throw new QuantityError("unable to parse quantity's suffix");
}

/** Whether upstream's fast path takes the text for canonical and writes it back unchanged (`1.500` stays so). */
function keepsText(
  value: bigint,
  mantissa: string,
  wholeDigits: number,
  fractionDigits: number,
  format: QuantityFormat,
  exponent: number,
): boolean {
  if (format === "BinarySI") {
    const precision = 15 - wholeDigits - Math.trunc((exponent * 3) / 10) - 1;
    return fractionDigits === 0 && precision >= 0 && (value & 7n) !== 0n;
  }
  const scale = exponent - fractionDigits;
  if (18 - wholeDigits - fractionDigits < 0 || scale < nano) return false;
  return scale % 3 === 0 && !mantissa.endsWith("000") && !mantissa.startsWith("0");
}

/** Canonical text: no fraction, and the largest suffix that keeps the value whole. */
export function formatQuantity(quantity: Quantity): string {
  if (quantity.text !== undefined) return quantity.text;
  const { unscaled, scale, format } = quantity;
  if (unscaled === 0n) return "0";
  if (format === "BinarySI") {
    const whole = scaleTo(quantity, 0);
    const small = whole > -1024n && whole < 1024n;
    if (!small && isWhole(quantity)) {
      const [mantissa, exponent] = removeFactors(whole, 1024n);
      if (exponent < binarySuffixes.length) return `${mantissa}${binarySuffixes[exponent]}`;
      return String(whole);
    }
  }
  const [mantissa, factors] = removeFactors(unscaled, 10n);
  let exponent = scale + factors;
  const excess = ((exponent % 3) + 3) % 3;
  exponent -= excess;
  const digits = String(mantissa * 10n ** BigInt(excess));
  if (exponent === 0) return digits;
  const suffix = decimalSuffixes[exponent / 3 + 3];
  if (format !== "DecimalExponent" && suffix !== undefined) return digits + suffix;
  return `${digits}e${exponent}`;
}

const plain = /^(?:0|[1-9][0-9]{0,14}[mkMG]?)$/;

/** Canonical text of a quantity given in JSON. Throws QuantityError. */
export function canonicalQuantity(value: string | number): string {
  if (typeof value === "string" && plain.test(value) && !/000[mkMG]?$/.test(value)) return value;
  return formatQuantity(parseQuantity(value));
}

/** -1, 0 or 1. */
export function compareQuantities(a: Quantity, b: Quantity): -1 | 0 | 1 {
  const scale = Math.min(a.scale, b.scale);
  const left = scaleTo(a, scale);
  const right = scaleTo(b, scale);
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** Sum, in the notation of `a`, or of `b` when `a` is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  const scale = Math.min(a.scale, b.scale);
  return {
    unscaled: scaleTo(a, scale) + scaleTo(b, scale),
    scale,
    format: a.unscaled === 0n ? b.format : a.format,
  };
}

/** Difference, in the notation of `a`, or of `b` when `a` is zero. */
export function subtractQuantities(a: Quantity, b: Quantity): Quantity {
  return addQuantities(a, { ...b, unscaled: -b.unscaled, text: undefined });
}

/** value / 10^scale, rounded away from zero: `scaledValue(q, -3)` counts millis. Exact. */
export function scaledValue(quantity: Quantity, scale: number): bigint {
  return scaleTo(quantity, scale);
}

/** Units, rounded up (bytes, pods); as a double, so exact up to 2^53. Throws QuantityError for text that is none. */
export function wholeValue(value: string | number | Quantity): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  return Number(scaleTo(typeof value === "object" ? value : parseQuantity(value), 0));
}

/** Thousandths, rounded up (millicores); as a double, so exact up to 2^53. Throws QuantityError for text that is none. */
export function milliValue(value: string | number | Quantity): number {
  return Number(scaleTo(typeof value === "object" ? value : parseQuantity(value), -3));
}

/** A quantity of whole units, `quantityOf(1024n, "BinarySI")` is 1Ki; `scale` -3 gives millis. */
export function quantityOf(unscaled: bigint | number, format: QuantityFormat = "DecimalSI", scale = 0): Quantity {
  return { unscaled: BigInt(unscaled), scale, format };
}

function scaleTo(quantity: Quantity, scale: number): bigint {
  const shift = quantity.scale - scale;
  if (shift >= 0) return quantity.unscaled * 10n ** BigInt(shift);
  return divideUp(quantity.unscaled, 10n ** BigInt(-shift));
}

function isWhole({ unscaled, scale }: Quantity): boolean {
  return scale >= 0 || unscaled % 10n ** BigInt(-scale) === 0n;
}

/** Quotient rounded away from zero. */
function divideUp(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (quotient * divisor === value) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

function removeFactors(value: bigint, factor: bigint): [bigint, number] {
  let times = 0;
  let rest = value;
  while (rest !== 0n && rest % factor === 0n) {
    rest /= factor;
    times++;
  }
  return [rest, times];
}
