/** Values in a query as upstream's conversion of one reads them (apimachinery, runtime/conversion.go). */
import { badRequest, type StatusError } from "#shared/api/errors.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";

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

/** The ports of a port-forward, each in a value of its own or several with commas between. Throws BadRequest. */
export function portsOf(query: URLSearchParams): number[] {
  return query.getAll("ports").flatMap((each) => each.split(",").map(portOf));
}

function portOf(text: string): number {
  const why = !/^\d+$/.test(text) ? "invalid syntax" : Number(text) > 65_535 ? "value out of range" : undefined;
  if (why) throw badRequest(`cannot convert to []int32: strconv.ParseUint: parsing ${goQuote(text)}: ${why}`);
  return Number(text);
}
