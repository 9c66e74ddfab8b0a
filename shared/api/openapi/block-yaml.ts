/** JSON values as YAML in block style, to the letter as Go's yaml.v3 writes them, by which upstream's documents have them. */
const INDENT = 4;

/** A value as a document of its own, with the line's end. */
export function blockYaml(value: unknown): string {
  return isFilled(value) ? `${block(value, 0)}\n` : `${flow(value, 0)}\n`;
}

type Filled = Readonly<Record<string, unknown>> | readonly unknown[];

const isFilled = (value: unknown): value is Filled =>
  typeof value === "object" && value !== null && Object.keys(value).length > 0;

/** @param indent where its lines begin, but for the first one */
function block(value: Filled, indent: number): string {
  const margin = `\n${" ".repeat(indent)}`;
  if (Array.isArray(value)) return value.map((item) => `- ${nested(item, indent + 2)}`).join(margin);
  const entry = ([name, member]: [string, unknown]): string => {
    const below = nextStop(indent);
    return isFilled(member)
      ? `${flow(name, indent)}:\n${" ".repeat(below)}${block(member, below)}`
      : `${flow(name, indent)}: ${flow(member, below)}`;
  };
  return Object.entries(value).map(entry).join(margin);
}

/** An item stands behind its dash, whatever it is. */
const nested = (item: unknown, indent: number): string => (isFilled(item) ? block(item, indent) : flow(item, indent));

/** What is in a mapping is aligned to whole indentations, wherever the mapping begins. */
const nextStop = (indent: number): number => INDENT * Math.floor((indent + INDENT) / INDENT);

function flow(value: unknown, indent: number): string {
  if (typeof value !== "string") return JSON.stringify(value);
  if (value.includes("\n")) return literal(value, indent === 0 ? INDENT : indent);
  if (otherThanText.test(value) || unprintable.test(value)) return quoted(value);
  return unplain.test(value) ? `'${value.replaceAll("'", "''")}'` : value;
}

/** Text that would be read as nothing, a truth, a number or a time. */
const otherThanText = new RegExp(
  [
    /^(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE)?$/,
    /^[-+]?(?:0x[\da-fA-F_]+|0o[0-7_]+|0b[01_]+|\d[\d_]*)$/,
    /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/,
    /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
    /^\d{4}-\d{1,2}-\d{1,2}(?:[Tt ][\d:.]+(?:Z|[-+]\d.*)?)?$/,
  ]
    .map(({ source }) => source)
    .join("|"),
);

/** What no plain text begins with, holds or ends with. */
const unplain = /^[#,[\]{}&*!|>'"%@` ]|^[-?:](?: |$)|^(?:---|\.\.\.)|: |:$| #| $/;

/** Also what lies beyond 16 bits, to the library. */
const unprintable = /(?! )[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u{10000}-\u{10ffff}]/u;

const shortEscapes: Readonly<Record<string, string>> = {
  "\0": "\\0",
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\x1b": "\\e",
  '"': '\\"',
  "\\": "\\\\",
  "\x85": "\\N",
};

const quoted = (text: string): string => `"${[...text].map(escaped).join("")}"`;

function escaped(character: string): string {
  const short = shortEscapes[character];
  if (short) return short;
  if (!unprintable.test(character)) return character;
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
  if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
  return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
}

function literal(text: string, indent: number): string {
  // A first line that begins with a blank does not tell how far the others are indented.
  const hint = /^[ \n]/.test(text) ? INDENT : "";
  const kept = text.endsWith("\n\n") ? "+" : text.endsWith("\n") ? "" : "-";
  const lines = text.replace(/\n$/, "").split("\n");
  return [`|${hint}${kept}`, ...lines.map((line) => (line === "" ? "" : " ".repeat(indent) + line))].join("\n");
}
