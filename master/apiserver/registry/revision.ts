/** Revisions as clients name them in an object's metadata.resourceVersion. */
import { unclassifiedError } from "#shared/api/patch/patch-error.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";

const LARGEST = 2n ** 64n - 1n;

/** Whether one is named: upstream's stores begin to count at 1, and what is no number names none. */
export const namesRevision = (text = ""): boolean => /^\d+$/.test(text) && !/^0+$/.test(text);

/** Throws 500, as upstream does, for one that is no number. */
export function checkRevision(text = ""): void {
  if (text === "") return;
  if (!/^\d+$/.test(text)) throw unclassifiedError(`strconv.ParseUint: parsing ${goQuote(text)}: invalid syntax`);
  if (BigInt(text) > LARGEST)
    throw unclassifiedError(`strconv.ParseUint: parsing ${goQuote(text)}: value out of range`);
}
