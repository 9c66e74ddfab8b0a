/** A directive of a Corefile: its words, and those of the lines in its block. */
export interface Directive {
  readonly words: readonly string[];
  readonly block: readonly (readonly string[])[];
}

/** Zones, with the directives that hold for them. */
export interface ServerBlock {
  readonly zones: readonly string[];
  readonly directives: readonly Directive[];
}

export class CorefileError extends Error {
  override readonly name = "CorefileError";
}

/** Reads server blocks, `zone… { directive… }`, as CoreDNS writes them. Throws CorefileError. */
export function parseServerBlocks(text: string): ServerBlock[] {
  const lines = linesOf(text);
  const blocks: ServerBlock[] = [];
  while (lines.length > 0) {
    const words = lines.shift() ?? [];
    if (words.at(-1) !== "{" || words.length === 1)
      throw new CorefileError(`expected "ZONE {", found "${words.join(" ")}"`);
    blocks.push({ zones: words.slice(0, -1).map(zoneName), directives: directivesUntilBrace(lines) });
  }
  return blocks;
}

/** Reads directives without a server block around them. Throws CorefileError. */
export function parseDirectives(text: string): Directive[] {
  const lines = linesOf(text);
  lines.push(["}"]);
  const directives = directivesUntilBrace(lines);
  if (lines.length > 0) throw new CorefileError('there is a "}" too many');
  return directives;
}

function directivesUntilBrace(lines: string[][]): Directive[] {
  const directives: Directive[] = [];
  for (let words = lines.shift(); words; words = lines.shift()) {
    if (words.length === 1 && words[0] === "}") return directives;
    const opens = words.at(-1) === "{";
    directives.push({ words: opens ? words.slice(0, -1) : words, block: opens ? blockUntilBrace(lines) : [] });
  }
  throw new CorefileError('a "}" is missing');
}

function blockUntilBrace(lines: string[][]): string[][] {
  const block: string[][] = [];
  for (let words = lines.shift(); words; words = lines.shift()) {
    if (words.length === 1 && words[0] === "}") return block;
    if (words.at(-1) === "{") throw new CorefileError(`a block in a block: "${words.join(" ")}"`);
    block.push(words);
  }
  throw new CorefileError('a "}" is missing');
}

/** Words of each line that has some; comments begin with #. */
function linesOf(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => [...line.matchAll(/"([^"]*)"|(#.*)|(\S+)/g)])
    .map((tokens) => tokens.filter((token) => token[2] === undefined).map((token) => token[1] ?? token[3] ?? ""))
    .filter((words) => words.length > 0);
}

/** `example.org:53`, `dns://example.org.` and `.` as the names of zones: in lower case, without port and final dot. */
function zoneName(word: string): string {
  return word
    .replace(/^dns:\/\//, "")
    .replace(/:\d+$/, "")
    .replace(/\.$/, "")
    .toLowerCase();
}
