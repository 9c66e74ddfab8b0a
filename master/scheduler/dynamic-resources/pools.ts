import { matchesNodeSelector } from "#shared/api/scheduling/node-affinity.ts";
import type { Node, NodeSelector } from "#shared/api/types/core-v1.generated.ts";
import type { Device, ResourceSlice } from "#shared/api/types/resource-v1.generated.ts";
import type { Value } from "#shared/cel/values.ts";
import { deviceValue } from "./device-selector.ts";

/** A device that a node can use. */
export interface KnownDevice {
  readonly driver: string;
  readonly pool: string;
  readonly device: Device;
  /** Where it can be used: a node, the nodes selected, or everywhere when both are absent. */
  readonly nodeName: string | undefined;
  readonly nodeSelector: NodeSelector | undefined;
  /** As selectors see it; made when one asks. */
  readonly value: () => Value;
}

export const deviceKey = ({ driver, pool, device }: { driver: string; pool: string; device: string }): string =>
  `${driver}/${pool}/${device}`;

export const keyOfKnown = ({ driver, pool, device }: KnownDevice): string =>
  deviceKey({ driver, pool, device: device.name });

export interface Pool {
  /** `driver/name`. */
  readonly key: string;
  readonly devices: readonly KnownDevice[];
  /** All slices of its newest generation are there. */
  readonly isComplete: boolean;
  /** Two of its devices have one name. */
  readonly isInvalid: boolean;
}

/** Pools as their newest slices describe them (pure), in the order of drivers and names. */
export function poolsOf(
  slices: readonly ResourceSlice[],
): readonly { readonly key: string; readonly slices: readonly ResourceSlice[] }[] {
  const pools = new Map<string, ResourceSlice[]>();
  for (const slice of slices) {
    const { driver, pool } = slice.spec;
    const key = `${driver}/${pool.name}`;
    const present = pools.get(key) ?? [];
    const newest = present[0]?.spec.pool.generation ?? -1;
    if (pool.generation > newest) pools.set(key, [slice]);
    else if (pool.generation === newest) present.push(slice);
  }
  return [...pools]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, own]) => ({
      key,
      slices: own.toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1)),
    }));
}

/** What of the pools a node can use (pure). Slices of other nodes count only for whether a pool is complete. */
export function poolsFor(node: Node, pools: ReturnType<typeof poolsOf>): readonly Pool[] {
  return pools.flatMap(({ key, slices }) => {
    const devices = slices.flatMap((slice) => devicesFor(node, slice));
    const isComplete = slices.length === slices[0]?.spec.pool.resourceSliceCount;
    const isInvalid = new Set(devices.map(({ device }) => device.name)).size < devices.length;
    return devices.length > 0 ? [{ key, devices, isComplete, isInvalid }] : [];
  });
}

function devicesFor(node: Node, { spec }: ResourceSlice): KnownDevice[] {
  const { driver, pool, nodeName, nodeSelector, allNodes, perDeviceNodeSelection, devices = [] } = spec;
  // Devices that choose nodes for themselves are behind a gate that upstream keeps closed.
  if (perDeviceNodeSelection) return [];
  const reaches =
    nodeName === node.metadata.name || allNodes || (nodeSelector && matchesNodeSelector(nodeSelector, node));
  if (!reaches) return [];
  return devices.map((device) => {
    let value: Value | undefined;
    return {
      driver,
      pool: pool.name,
      device,
      nodeName: nodeName || undefined,
      nodeSelector,
      value: () => {
        value ??= deviceValue(driver, device);
        return value;
      },
    };
  });
}
