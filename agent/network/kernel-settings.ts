import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { CommandRunner } from "./command.ts";

/**
 * Where a board notes what its kernel's settings were before: lines of a path and a value, the newest last. It is of the run
 * directory, for a reboot forgets both. bramble-uninstall.sh sets them back from it.
 */
export const foundSettingsFile = (runDir: string): string => join(runDir, "kernel-settings");

/**
 * Sets what routing pods needs of the kernel: forwarding, and iptables on bridged packets (Services between pods of one
 * board). Resolves with what could not be set, for a warning; pods then start but parts of their network may not work.
 */
export async function prepareKernel(
  families: { readonly v6: boolean },
  run: CommandRunner,
  foundSettings?: string,
): Promise<string[]> {
  const problems: string[] = [];
  const set = async (path: string, value: string): Promise<void> => {
    try {
      const found = (await readFile(path, "utf8")).trim();
      if (found === value) return;
      if (foundSettings !== undefined) {
        await mkdir(dirname(foundSettings), { recursive: true });
        await appendFile(foundSettings, `${path} ${found}\n`);
      }
      await writeFile(path, value);
    } catch (error) {
      problems.push(`${path}: ${messageOf(error)}`);
    }
  };
  // Built into some kernels, and a module to load on others; whether it worked shows in the files below.
  await run("modprobe", ["br_netfilter"]).catch(() => undefined);
  await set("/proc/sys/net/ipv4/ip_forward", "1");
  await set("/proc/sys/net/bridge/bridge-nf-call-iptables", "1");
  if (!families.v6) return problems;
  await set("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "1");
  await keepRouterAdvertisements(set);
  await set("/proc/sys/net/ipv6/conf/all/forwarding", "1");
  return problems;
}

/** A forwarding host ignores router advertisements unless told 2, and would lose its own default route. */
async function keepRouterAdvertisements(set: (path: string, value: string) => Promise<void>): Promise<void> {
  const directory = "/proc/sys/net/ipv6/conf";
  // No IPv6 in this kernel: the caller's own setting reports that.
  for (const name of await readdir(directory).catch((): string[] => [])) {
    const path = `${directory}/${name}/accept_ra`;
    const value = await readFile(path, "utf8").catch(() => "");
    if (value.trim() === "1") await set(path, "2");
  }
}
