import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { runChild } from "#agent/host/child-process.ts";
import { isIpv6 } from "#shared/net/ip-family.ts";
import { NetworkError } from "../runtime/sandbox-network.ts";
import { type CniNetworkConfig, type CniPluginConfig, isRecord } from "./cni-config.ts";

export type CniCommand = "ADD" | "DEL" | "CHECK";

/** What one attachment means to plugins: CNI specification 1.0, section 2 (the environment) and 3 (runtimeConfig). */
export interface CniAttachment {
  readonly containerId: string;
  /** Empty when the namespace is gone, which DEL must cope with. */
  readonly namespacePath: string;
  readonly interfaceName: string;
  readonly args: Readonly<Record<string, string>>;
  /** By capability, handed only to plugins that declare it. */
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
}

export type CniResult = Readonly<Record<string, unknown>>;

const maxOutput_bytes = 1024 * 1024;
const pluginTimeout_ms = 60_000;

/** Runs the plugins of a network in order, each with the result of the one before. Resolves with the last result. */
export async function cniAdd(
  config: CniNetworkConfig,
  attachment: CniAttachment,
  path: readonly string[],
): Promise<CniResult> {
  let result: CniResult | undefined;
  for (const plugin of config.plugins) {
    result = await runPlugin("ADD", config, plugin, attachment, result, path);
    if (result === undefined) throw new NetworkError(`CNI plugin ${plugin.type} gave no result`);
  }
  return result ?? {};
}

/** Runs the plugins backwards, all with the final result of ADD where it is known. */
export async function cniDelete(
  config: CniNetworkConfig,
  attachment: CniAttachment,
  result: CniResult | undefined,
  path: readonly string[],
): Promise<void> {
  for (const plugin of [...config.plugins].reverse()) {
    await runPlugin("DEL", config, plugin, attachment, result, path);
  }
}

/** Whether what ADD made is still there; rejects with what a plugin misses. */
export async function cniCheck(
  config: CniNetworkConfig,
  attachment: CniAttachment,
  result: CniResult,
  path: readonly string[],
): Promise<void> {
  if (config.disableCheck) return;
  for (const plugin of config.plugins) await runPlugin("CHECK", config, plugin, attachment, result, path);
}

/** The addresses of a result (versions 0.3 to 1.x have `ips`), IPv4 first, without their prefix length. */
export function addressesOf(result: CniResult): string[] {
  const ips = Array.isArray(result["ips"]) ? result["ips"] : [];
  const addresses = ips.flatMap((entry: unknown) =>
    isRecord(entry) && typeof entry["address"] === "string" ? [entry["address"].replace(/\/\d+$/, "")] : [],
  );
  return [...addresses.filter((address) => !isIpv6(address)), ...addresses.filter(isIpv6)];
}

/** What is written to a plugin's standard input. */
function pluginInput(
  config: CniNetworkConfig,
  plugin: CniPluginConfig,
  attachment: CniAttachment,
  previous: CniResult | undefined,
): Record<string, unknown> {
  const runtimeConfig = Object.fromEntries(
    Object.entries(attachment.capabilityArgs).filter(([capability]) => plugin.capabilities[capability] === true),
  );
  return {
    ...plugin.fields,
    name: config.name,
    cniVersion: config.cniVersion,
    ...(Object.keys(runtimeConfig).length > 0 ? { runtimeConfig } : {}),
    ...(previous === undefined ? {} : { prevResult: previous }),
  };
}

async function runPlugin(
  command: CniCommand,
  config: CniNetworkConfig,
  plugin: CniPluginConfig,
  attachment: CniAttachment,
  previous: CniResult | undefined,
  path: readonly string[],
): Promise<CniResult | undefined> {
  const executable = await findPlugin(plugin.type, path);
  const env = {
    ...process.env,
    CNI_COMMAND: command,
    CNI_CONTAINERID: attachment.containerId,
    CNI_NETNS: attachment.namespacePath,
    CNI_IFNAME: attachment.interfaceName,
    CNI_ARGS: Object.entries(attachment.args)
      .map(([key, value]) => `${key}=${value}`)
      .join(";"),
    CNI_PATH: path.join(":"),
  };
  const input = JSON.stringify(pluginInput(config, plugin, attachment, previous));
  const limits = { timeout_ms: pluginTimeout_ms, maxOutput_bytes };
  const { code, stdout, stderr } = await runChild(executable, [], { env, input, ...limits }).catch((error: Error) => {
    throw new NetworkError(`${executable}: ${error.message}`, { cause: error });
  });
  const output = parseOutput(stdout);
  if (code !== 0) {
    const said = output === undefined ? stderr.trim() || stdout.trim() : [output["msg"], output["details"]];
    const reason = Array.isArray(said) ? said.filter(Boolean).join(": ") : said;
    throw new NetworkError(`CNI plugin ${plugin.type} ${command} failed (${code ?? "killed"}): ${reason}`);
  }
  return output;
}

async function findPlugin(type: string, path: readonly string[]): Promise<string> {
  for (const directory of path) {
    const candidate = join(directory, type);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this directory: the next one may have it, and none at all is said below.
    }
  }
  throw new NetworkError(`CNI plugin ${type} is not in ${path.join(", ")}`);
}

function parseOutput(text: string): CniResult | undefined {
  if (text.trim() === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    // Not JSON: a plugin that broke the specification; the caller shows its text.
    return undefined;
  }
}
