import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "#shared/api/joined-errors.ts";
import { ifPresent } from "#shared/files/if-present.ts";

/** A network configuration list by the CNI specification 1.0, section 1. A single `.conf` is a list of one. */
export interface CniNetworkConfig {
  readonly cniVersion: string;
  readonly name: string;
  readonly disableCheck: boolean;
  readonly plugins: readonly CniPluginConfig[];
}

/** `type` names the executable; the rest is the plugin's own. */
export interface CniPluginConfig {
  readonly type: string;
  readonly capabilities: Readonly<Record<string, boolean>>;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface CniConfigSearch {
  /** The first valid file in name order. */
  readonly found: { readonly path: string; readonly config: CniNetworkConfig } | undefined;
  /** Files before it that could not be used, and why. */
  readonly problems: readonly string[];
}

const configFile = /\.(conf|conflist|json)$/;

/** Reads a directory such as /etc/cni/net.d. One that does not exist is empty. */
export async function findCniConfig(directory: string): Promise<CniConfigSearch> {
  const names = (await ifPresent(readdir(directory))) ?? [];
  const problems: string[] = [];
  for (const name of names.filter((n) => configFile.test(n)).sort()) {
    const path = join(directory, name);
    try {
      return { found: { path, config: parseCniConfig(await readFile(path, "utf8")) }, problems };
    } catch (error) {
      problems.push(`${path}: ${messageOf(error)}`);
    }
  }
  return { found: undefined, problems };
}

/** Throws SyntaxError for JSON or fields that are not as the specification wants them. */
export function parseCniConfig(text: string): CniNetworkConfig {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new SyntaxError("not an object");
  const { name, cniVersion = "0.1.0", disableCheck, plugins } = value;
  if (typeof name !== "string" || name === "") throw new SyntaxError("no network name");
  if (typeof cniVersion !== "string") throw new SyntaxError("cniVersion is not a string");
  const list: unknown = plugins === undefined && "type" in value ? [value] : plugins;
  if (!Array.isArray(list) || list.length === 0) throw new SyntaxError("no plugins");
  return {
    cniVersion,
    name,
    disableCheck: disableCheck === true || disableCheck === "true",
    plugins: list.map(parsePlugin),
  };
}

function parsePlugin(value: unknown): CniPluginConfig {
  if (!isRecord(value)) throw new SyntaxError("a plugin is not an object");
  const { type, capabilities, ...fields } = value;
  if (typeof type !== "string" || type === "" || type.includes("/"))
    throw new SyntaxError("a plugin has no valid type");
  const named = isRecord(capabilities) ? capabilities : {};
  return {
    type,
    capabilities: Object.fromEntries(Object.entries(named).map(([key, on]) => [key, on === true])),
    // The configuration is executed as given, `capabilities` apart, which becomes runtimeConfig.
    fields: { ...fields, type },
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
