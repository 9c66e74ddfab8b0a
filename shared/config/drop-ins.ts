/** Files of a folder that each change some fields of a configuration, as upstream's kubelet takes them by --config-dir. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { isJsonObject, type JsonObject } from "../api/patch/json-value.ts";
import { applyMergePatch } from "../api/patch/merge-patch.ts";
import { configurationText, faultText } from "./document.ts";
import { ConfigError } from "./option.ts";

interface Form {
  readonly kind: string;
  readonly apiVersion: string;
}

/**
 * The document with those of the folder merged in (RFC 7386), in the order of their paths: every file whose name ends in .conf, in
 * folders below too. JSON. Throws ConfigError.
 * @param path undefined: there is no document to begin with.
 */
export function withDropIns(path: string | undefined, folder: string, form: Form): string {
  let merged: JsonObject = path === undefined ? { apiVersion: form.apiVersion, kind: form.kind } : contentOf(path);
  for (const file of dropIns(folder)) {
    const content = contentOf(file);
    const { apiVersion, kind } = content;
    if (apiVersion === undefined || kind === undefined)
      throw new ConfigError(`failed to load kubelet dropin file, path: ${file}, no apiVersion/kind`);
    if (apiVersion !== form.apiVersion || kind !== form.kind)
      throw new ConfigError(
        `failed to load kubelet dropin file, path: ${file}, unknown apiVersion/kind: ${apiVersion}, Kind=${kind}`,
      );
    merged = applyMergePatch(merged, content);
  }
  return JSON.stringify(merged);
}

function dropIns(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith(".conf"))
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort();
  } catch (error) {
    throw new ConfigError(
      `failed to walk through kubelet dropin directory ${JSON.stringify(folder)}: ${(error as Error).message}`,
    );
  }
}

function contentOf(path: string): JsonObject {
  const document = parseDocument(configurationText(path), { uniqueKeys: true });
  const [fault] = document.errors;
  if (fault) throw new ConfigError(`${path}: ${faultText(fault)}`);
  const content: unknown = document.toJS() ?? {};
  if (!isJsonObject(content)) throw new ConfigError(`${path}: expected a mapping`);
  return content;
}
