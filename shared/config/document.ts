/** Configuration files in upstream's form: a document with a kind, of which everything that is wrong is told at once. */
import { readFileSync } from "node:fs";
import { parseDocument, type YAMLParseError } from "yaml";
import { Field } from "./field.ts";
import { ConfigError } from "./option.ts";

/** Throws ConfigError. */
export function configurationText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`);
  }
}

/** The `kind` at the top of a YAML document; undefined when it has none or cannot be read, which its reader then says. */
export function kindOfDocument(path: string): unknown {
  try {
    return parseDocument(readFileSync(path, "utf8")).get("kind");
  } catch {
    return undefined;
  }
}

/** What is wrong with a YAML document and where, in one line: the package quotes the lines around as well. */
export const faultText = ({ message }: YAMLParseError): string => message.replace(/:?\n[\s\S]*$/, "");

/** What `decode` makes of a document (YAML or JSON); `path` is for messages. Throws ConfigError that names all faults which
 *  were complained of at its fields. */
export function readDocument<T>(content: string, path: string, kind: string, decode: (root: Field) => T): T {
  const document = parseDocument(content, { uniqueKeys: true });
  const fault = document.errors[0];
  if (fault) throw new ConfigError(`${path}: ${faultText(fault)}`);
  const problems: string[] = [];
  const read = decode(new Field(document.toJS(), "", problems));
  if (problems.length === 0) return read;
  const lines = problems.map((problem) => `  ${problem.replace(/^: /, "")}`);
  throw new ConfigError(`${path} is not a valid ${kind}:\n${lines.join("\n")}`);
}
