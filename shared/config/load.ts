import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { errnoOf } from "../files/if-present.ts";
import { faultText } from "./document.ts";
import { ConfigError, type Options, type ValuesOf } from "./option.ts";

/**
 * Settings from the defaults, then the config file, then the command line; the later wins.
 * @param flags by option name (kebab case), as the command line gave them; absent ones were not given.
 * @param file undefined: there is none. `required` says that the user named it, so it must exist.
 */
export function loadSettings<O extends Options>(
  options: O,
  flags: Readonly<Record<string, unknown>>,
  file: { readonly path: string; readonly required: boolean; readonly otherNames?: readonly string[] } | undefined,
): ValuesOf<O> {
  const fromFile = file ? readConfigFile(options, file) : {};
  const values: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(options)) {
    const given = flags[option.name] ?? fromFile[option.name];
    values[key] = given === undefined || given === null ? option.fallback : option.parse(given);
  }
  return values as ValuesOf<O>;
}

function readConfigFile(
  options: Options,
  file: { readonly path: string; readonly required: boolean; readonly otherNames?: readonly string[] },
): Record<string, unknown> {
  let content: string;
  try {
    content = readFileSync(file.path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && !file.required) return {};
    throw new ConfigError(`cannot read ${file.path}: ${(error as Error).message}`);
  }
  const document = parseDocument(content, { uniqueKeys: true });
  const fault = document.errors[0];
  if (fault) throw new ConfigError(`${file.path}: ${faultText(fault)}`);
  const parsed: unknown = document.toJS() ?? {};
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new ConfigError(`${file.path}: expected a mapping of settings, such as "data-dir: /var/lib/bramble"`);
  }
  const known = new Set([...Object.values(options).map((option) => option.name), ...(file.otherNames ?? [])]);
  for (const name of Object.keys(parsed)) {
    if (!known.has(name))
      throw new ConfigError(
        `${file.path}: no setting is named ${name}; \`bramble help master\` and \`bramble help worker\` list them`,
      );
  }
  return parsed as Record<string, unknown>;
}
