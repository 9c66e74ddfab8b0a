/** The Huffman code of header strings (RFC 7541, 5.2 and Appendix B). */

/**
 * The code is canonical, so that the lengths say all of it: of each byte, then of the end of the string; a letter a
 * length, `a` for 5 bits. Codes of a length follow each other by value, shorter ones come first.
 */
const codeLengths =
  "isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibccccccccccccccccccccccdcdioijbkabababbbaccbbbabcbaab" +
  "ccccckgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrsvvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrru" +
  "uttvsvwvvwwwwwxwwwwwvz";
const SHORTEST_BITS = 5;
const END_OF_STRING = 256;

/** The code as a tree: the nodes of node `n` stand at `2n` and `2n + 1`; a symbol as its complement. */
const tree = treeOf(codeLengths);

function treeOf(lengths: string): Int16Array {
  const bits = Array.from(lengths, (letter) => letter.charCodeAt(0) - 97 + SHORTEST_BITS);
  const symbols = [...bits.keys()].sort((a, b) => (bits[a] ?? 0) - (bits[b] ?? 0) || a - b);
  const nodes = new Int16Array(2 * bits.length);
  let free = 1;
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    const its = bits[symbol] ?? 0;
    code <<= its - length;
    length = its;
    let node = 0;
    for (let left = length - 1; left > 0; left -= 1) {
      const at = 2 * node + ((code >>> left) & 1);
      if (nodes[at] === 0) {
        nodes[at] = free;
        free += 1;
      }
      node = nodes[at] ?? 0;
    }
    nodes[2 * node + (code & 1)] = ~symbol;
    code += 1;
  }
  return nodes;
}

let scratch = Buffer.allocUnsafe(4096);

/** The text of `bytes[from..to)`, a character a byte; undefined where they are no such code. */
export function huffmanDecoded(bytes: Uint8Array, from: number, to: number): string | undefined {
  // The shortest code has five bits.
  const longest = Math.ceil(((to - from) * 8) / SHORTEST_BITS);
  if (scratch.length < longest) scratch = Buffer.allocUnsafe(longest);
  let length = 0;
  let node = 0;
  /** Since the last symbol. */
  let bits = 0;
  let allOnes = true;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at] ?? 0;
    for (let shift = 7; shift >= 0; shift -= 1) {
      const bit = (byte >>> shift) & 1;
      const next = tree[2 * node + bit] ?? 0;
      if (next >= 0) {
        node = next;
        bits += 1;
        if (bit === 0) allOnes = false;
        continue;
      }
      const symbol = ~next;
      if (symbol === END_OF_STRING) return undefined;
      scratch[length] = symbol;
      length += 1;
      node = 0;
      bits = 0;
      allOnes = true;
    }
  }
  // What is left is padding: less than a byte of the end's own code, which is all ones.
  if (bits > 7 || !allOnes) return undefined;
  return scratch.toString("latin1", 0, length);
}
