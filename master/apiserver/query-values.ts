/** Values in a query as upstream's conversion of one reads them (apimachinery, runtime/conversion.go). */
import { badRequest, type StatusError } from "#shared/api/errors.ts";

/** A flag that stands in a query: whatever is not said to be false is true, no text too. */
export const isTrue = (text: string): boolean => text !== "0" && text.toLowerCase() !== "false";

/** An int64. Throws BadRequest in the words of Go's parser. */
export function int64Of(text: string): bigint {
  const refused = (why: string): StatusError => badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: ${why}`);
  if (!/^[+-]?\d+$/.test(text)) throw refused("invalid syntax");
  const value = BigInt(text.replace("+", ""));
  if (BigInt.asIntN(64, value) !== value) throw refused("value out of range");
  return value;
}

/** The same as a number, which knows more than 2^53 only nearly. */
export const integerOf = (text: string): number => Number(int64Of(text));
