import { setTimeout as delay } from "node:timers/promises";
import { parseCidr } from "#shared/board/cidr.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { NetworkError } from "../runtime/sandbox-network.ts";
import { isRecord } from "./cni-config.ts";
import type { CniResult } from "./cni-plugins.ts";

/** As long and as often as upstream's plugins wait for the addresses of a pod's own interface (SettleAddresses). */
const patience_ms = 10_000;
const look_ms = 50;

/** include/uapi/linux/if_addr.h. */
const duplicate = 0x08;
const tentative = 0x40;

interface InterfaceAddress {
  readonly address: bigint;
  readonly device: string;
  readonly flags: number;
}

/**
 * Waits until the gateways of an attachment can be used, where they are addresses of this board: plugins wait for the pod's
 * own IPv6 addresses alone, and a bridge whose addresses are still looked at for duplicates neither answers nor asks for
 * neighbours. One look at a small file where nothing is awaited. Rejects with NetworkError when it takes more than 10 s.
 */
export async function gatewaysSettled(result: CniResult): Promise<void> {
  const gateways = new Set(gatewaysOf(result));
  if (gateways.size === 0) return;
  const end_ms = performance.now() + patience_ms;
  for (;;) {
    const addresses = await boardAddresses();
    const devices = new Set(addresses.filter(({ address }) => gateways.has(address)).map(({ device }) => device));
    const waiting = addresses.find(({ device, flags }) => devices.has(device) && isAwaited(flags));
    if (waiting === undefined) return;
    if (performance.now() > end_ms)
      throw new NetworkError(`${waiting.device} has an address that is still looked at for duplicates`);
    await delay(look_ms);
  }
}

/** A duplicate stays tentative for ever. */
const isAwaited = (flags: number): boolean => (flags & tentative) !== 0 && (flags & duplicate) === 0;

function gatewaysOf(result: CniResult): bigint[] {
  const ips = Array.isArray(result["ips"]) ? result["ips"] : [];
  return ips.flatMap((entry: unknown) => {
    const gateway = isRecord(entry) ? entry["gateway"] : undefined;
    const parsed = typeof gateway === "string" ? parseCidr(gateway) : undefined;
    return parsed?.bits === 128 ? [parsed.address] : [];
  });
}

/** This network namespace's IPv6 addresses. A kernel without IPv6 has no such file. */
async function boardAddresses(): Promise<InterfaceAddress[]> {
  const text = (await readIfPresent("/proc/net/if_inet6")) ?? "";
  return text.split("\n").flatMap((line) => {
    const [address, , , , flags, device] = line.trim().split(/\s+/);
    if (!address || !flags || !device) return [];
    return [{ address: BigInt(`0x${address}`), device, flags: Number.parseInt(flags, 16) }];
  });
}
