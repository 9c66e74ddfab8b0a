/** A line that follows no rule of the format. */
export class EnvFileError extends Error {
  override readonly name = "EnvFileError";
}

/**
 * The value of `key` in an environment file (KEP-3721): lines of `NAME='value'`, the value between single quotes and over
 * several lines if need be, nothing in it expanded; comments after `#`. A blank after `=` makes the value empty.
 * Undefined when the file does not have the key, or has it empty. Throws EnvFileError for a line before the key's that is
 * not well formed; what comes after is not looked at.
 */
export function envFileValue(text: string, key: string): string | undefined {
  for (const [name, value] of assignments(text)) if (name === key) return value || undefined;
  return undefined;
}

function* assignments(text: string): Generator<[name: string, value: string]> {
  const lines = text.replace(/\n$/, "").split("\n").entries();
  for (const [index, given] of lines) {
    const line = withoutReturn(given).replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const fail = failing(index + 1);
    const at = line.indexOf("=");
    if (at < 0) fail("missing '='");
    const [name, assigned] = [line.slice(0, at), line.slice(at + 1)];
    if (name === "") fail("empty variable name");
    if (/[ \t]$/.test(name)) fail("whitespace before '=' is not allowed");
    if (/^[ \t]/.test(assigned)) {
      yield [name, ""];
      continue;
    }
    if (!assigned.startsWith("'")) fail("value must be enclosed in single quotes");
    const quoted = [assigned.slice(1)];
    while (!quoted.at(-1)?.includes("'")) {
      const next = lines.next();
      quoted.push(withoutReturn(next.done ? fail("unclosed single quote") : next.value[1]));
    }
    const last = quoted.pop() ?? "";
    const end = last.indexOf("'");
    if (!/^[ \t]*(#.*)?$/.test(last.slice(end + 1))) fail("unexpected content after closing quote");
    yield [name, [...quoted, last.slice(0, end)].join("\n")];
  }
}

const failing =
  (line: number) =>
  (what: string): never => {
    throw new EnvFileError(`invalid environment variable format at line ${line}: ${what}`);
  };

const withoutReturn = (line: string): string => line.replace(/\r$/, "");
