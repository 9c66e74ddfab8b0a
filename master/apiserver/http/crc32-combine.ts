/** CRC-32 of two texts one after the other, out of the CRC-32 of each (zlib's crc32_combine). */

const WIDTH = 32;
const POLYNOMIAL = 0xedb88320;

/** What a bit matrix over GF(2) makes of a vector; row `n` is what bit `n` becomes. */
function times(matrix: Uint32Array, vector: number): number {
  let sum = 0;
  for (let bit = 0, rest = vector; rest !== 0; bit += 1, rest >>>= 1) {
    if (rest & 1) sum ^= matrix[bit] as number;
  }
  return sum >>> 0;
}

const squared = (matrix: Uint32Array): Uint32Array => matrix.map((row) => times(matrix, row));

/** Operators that append 1, 2, 4, 8… zero bytes to what a CRC stands for. */
function zeroAppenders(): readonly Uint32Array[] {
  const oneBit = new Uint32Array(WIDTH);
  oneBit[0] = POLYNOMIAL;
  for (let bit = 1; bit < WIDTH; bit += 1) oneBit[bit] = 2 ** (bit - 1);
  let operator = squared(squared(squared(oneBit)));
  const operators: Uint32Array[] = [];
  for (let power = 0; power < WIDTH; power += 1) {
    operators.push(operator);
    operator = squared(operator);
  }
  return operators;
}

let appenders: readonly Uint32Array[] | undefined;

/** `second_bytes` is the length of the second text, below 2^32. */
export function crc32Combine(first: number, second: number, second_bytes: number): number {
  appenders ??= zeroAppenders();
  let crc = first;
  for (let power = 0, rest = second_bytes; rest !== 0; power += 1, rest >>>= 1) {
    if (rest & 1) crc = times(appenders[power] as Uint32Array, crc);
  }
  return (crc ^ second) >>> 0;
}
