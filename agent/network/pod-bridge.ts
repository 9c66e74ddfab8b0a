import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { CommandRunner } from "./command.ts";
import { podBridgeName } from "./default-cni-config.ts";

const settings = "/proc/sys/net/ipv6/conf";
const detection = `${settings}/${podBridgeName}/accept_dad`;

/**
 * Makes the pods' bridge, for the plugin to find, with duplicate address detection off: its addresses are out of the board's
 * own pod CIDR, so nobody else has them, and for the one to three seconds of a detection (RFC 4862, 5.4) the gateway would
 * answer no neighbour solicitation and send none. The first pods after a boot would be without IPv6 for as long, or wait.
 * Idempotent. Resolves with what could not be set, for a warning. Rejects with CommandError.
 */
export async function preparePodBridge(run: CommandRunner): Promise<string[]> {
  // A kernel without IPv6: prepareKernel says so.
  if (!existsSync(settings)) return [];
  // Down, so it has no address yet: the plugin sets it up.
  if (!existsSync(detection)) await run("ip", ["link", "add", podBridgeName, "type", "bridge"]);
  try {
    if ((await readFile(detection, "utf8")).trim() !== "0") await writeFile(detection, "0");
    return [];
  } catch (error) {
    return [`${detection}: ${messageOf(error)}`];
  }
}
