import { readFileSync } from "node:fs";
import { ConfigError } from "./option.ts";

/** The text of the file that a setting names. Throws ConfigError, where it cannot be read or none is named. */
export function readNamedFile(setting: string, path: string): string {
  if (path === "") throw new ConfigError(`${setting}: name the file`);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`${setting}: ${(error as Error).message}`);
  }
}
