import type { ContainerConfig, Mount } from "#agent/runtime/runtime.ts";
import type { Allocation } from "./allocations.ts";

/**
 * The container with what the sources of its devices want it to have, and with devices that drivers name by CDI (pure).
 * Its own environment and mounts win.
 */
export function withDevices(
  config: ContainerConfig,
  allocations: readonly Allocation[],
  claimed: readonly string[] = [],
): ContainerConfig {
  if (allocations.length === 0 && claimed.length === 0) return config;
  const responses = allocations.map(({ response }) => response);
  const named = new Set(config.env.map(({ name }) => name));
  const mounted = new Set(config.mounts.map(({ containerPath }) => containerPath));
  const env = responses
    .flatMap(({ envs }) => Object.entries(envs))
    .filter(([name]) => !named.has(name))
    .map(([name, value]) => ({ name, value }));
  const mounts = responses
    .flatMap((response) => response.mounts)
    .filter(({ containerPath }) => !mounted.has(containerPath))
    .map(
      ({ hostPath, containerPath, readOnly }): Mount => ({ hostPath, containerPath, readOnly, propagation: "private" }),
    );
  const devices = new Map(responses.flatMap((response) => response.devices).map((each) => [each.containerPath, each]));
  return {
    ...config,
    env: [...uniqueByName(env), ...config.env],
    mounts: [...config.mounts, ...uniqueByPath(mounts)],
    devices: [...config.devices, ...devices.values()],
    annotations: { ...Object.assign({}, ...responses.map(({ annotations }) => annotations)), ...config.annotations },
    cdiDevices: [
      ...new Set([...responses.flatMap(({ cdiDevices }) => cdiDevices.map(({ name }) => name)), ...claimed]),
    ],
  };
}

const uniqueByName = <T extends { readonly name: string }>(list: readonly T[]): T[] => [
  ...new Map(list.map((each) => [each.name, each])).values(),
];
const uniqueByPath = (list: readonly Mount[]): Mount[] => [
  ...new Map(list.map((each) => [each.containerPath, each])).values(),
];
