/** Sizes and costs known before an expression runs, as cel-go reckons them: unsigned 64-bit, where too much is the most there is. */

/** The largest unsigned 64-bit number, as near as a double comes. */
export const MOST = 2 ** 64;

/** Characters of a text, bytes, or items of a list or map. */
export interface Size {
  readonly min: number;
  readonly max: number;
}

export const unknownSize: Size = { min: 0, max: MOST };
export const exactly = (size: number): Size => ({ min: size, max: size });

export const plus = (a: number, b: number): number => Math.min(a + b, MOST);
export const times = (a: number, b: number): number => Math.min(a * b, MOST);
/** Rounded up. */
export const scaled = (a: number, factor: number): number => Math.min(Math.ceil(a * factor), MOST);

export const sizePlus = (a: Size, b: Size): Size => ({ min: plus(a.min, b.min), max: plus(a.max, b.max) });
export const sizeTimes = (a: Size, b: Size): Size => ({ min: times(a.min, b.min), max: times(a.max, b.max) });
export const sizeUnion = (a: Size, b: Size): Size => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) });

/** Of a text of one character, and of a character of a regular expression on a text of cost 1 (cel-go's common/cost.go). */
export const TEXT_COST = 0.1;
export const REGEX_COST = 0.25;
export const LIST_COST = 10;
export const MAP_COST = 30;
export const OBJECT_COST = 40;
