/** The media ranges of an Accept header (RFC 9110, 12.5.1), read as API servers read them. Pure. */

export interface MediaRange {
  /** As it was sent: case counts. */
  readonly type: string;
  readonly subtype: string;
  /** Without the weight. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly weight: number;
}

/** As many as anybody means: each is put in its place among the others. */
const MOST_RANGES = 256;

/** What a client takes, what it likes best first: by weight, then wildcards last. What is no media range is left out. */
export function mediaRanges(accept: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const text of accept.split(",", MOST_RANGES)) {
    const range = rangeOf(text);
    if (range) insert(ranges, range);
  }
  return ranges;
}

function rangeOf(text: string): MediaRange | undefined {
  const [media = "", ...rest] = text.split(";");
  const [type = "", subtype = "", ...more] = media.split("/").map((part) => part.trim());
  if (more.some((part) => part !== "") || (subtype === "" && type !== "*")) return undefined;
  const parameters = new Map<string, string>();
  let weight = 1;
  for (const parameter of rest) {
    const [name = "", value = "", ...others] = parameter.split("=");
    if (value === "" || others.some((part) => part !== "")) continue;
    if (name.trim() === "q") weight = numberOf(value);
    else parameters.set(name.trim(), value.trim());
  }
  return { type, subtype: subtype === "" ? "*" : subtype, parameters, weight };
}

const numberOf = (text: string): number => (/^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : 0);

/** A wildcard makes place for what comes after it, whatever the weights. */
function insert(ranges: MediaRange[], range: MediaRange): void {
  let at = ranges.length;
  while (at > 0 && comesBefore(range, ranges[at - 1] as MediaRange)) at -= 1;
  ranges.splice(at, 0, range);
}

const comesBefore = (a: MediaRange, b: MediaRange): boolean =>
  a.weight > b.weight || (a.type !== "*" && b.type === "*") || (a.subtype !== "*" && b.subtype === "*");

/** Whether a media type such as `application/json` lies in a range. */
export function covers({ type, subtype }: MediaRange, media: string): boolean {
  const [wantedType, wantedSubtype] = media.split("/");
  return (type === "*" && subtype === "*") || (type === wantedType && (subtype === wantedSubtype || subtype === "*"));
}
