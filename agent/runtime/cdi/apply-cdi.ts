import { type ContainerConfig, type Mount, RuntimeError } from "../runtime.ts";
import { type CdiMount, type ContainerEdits, type DeviceNode, type FoundSpec, readCdiSpecs } from "./cdi-spec.ts";

/**
 * The container with its CDI devices as plain devices, mounts and environment, for a runtime that knows nothing of CDI.
 * A device node has the owner and mode of the board's own. Rejects with RuntimeError naming devices that no file
 * describes, and what a description asks for that only a runtime with CDI can do.
 */
export async function withCdiResolved(
  config: ContainerConfig,
  folders: readonly string[],
  warn: (message: string) => void,
): Promise<ContainerConfig> {
  if (!config.cdiDevices?.length) return config;
  const specs = await readCdiSpecs(folders, (path, error) => warn(`${path} is left out: ${error.message}`));
  return applyEdits(config, editsOf(config.cdiDevices, specs));
}

/** What the devices, by their qualified names, do to a container (pure). Throws RuntimeError for an unknown one. */
function editsOf(names: readonly string[], specs: readonly FoundSpec[]): ContainerEdits[] {
  const edits = new Set<ContainerEdits>();
  const unresolved: string[] = [];
  for (const name of new Set(names)) {
    const [kind = "", device = ""] = splitName(name);
    const describing = specs.flatMap(({ priority, spec }) => {
      const entry = spec.kind === kind ? spec.devices.find((each) => each.name === device) : undefined;
      return entry ? [{ priority, spec, entry }] : [];
    });
    const highest = Math.max(...describing.map(({ priority }) => priority));
    const [chosen, conflicting] = describing.filter(({ priority }) => priority === highest);
    // Two files of one folder that describe the same device: neither counts.
    if (!chosen || conflicting) {
      unresolved.push(name);
      continue;
    }
    // What holds for all devices of a file is done once.
    if (chosen.spec.containerEdits) edits.add(chosen.spec.containerEdits);
    if (chosen.entry.containerEdits) edits.add(chosen.entry.containerEdits);
  }
  if (unresolved.length > 0)
    throw new RuntimeError("other", `CDI device injection failed: unresolvable CDI devices ${unresolved.join(", ")}`);
  return [...edits];
}

/** The container with these edits (pure). Throws RuntimeError for what cannot be done without the runtime's help. */
function applyEdits(config: ContainerConfig, edits: readonly ContainerEdits[]): ContainerConfig {
  for (const each of edits) refuseUnsupported(each);
  const env = new Map(config.env.map(({ name, value }) => [name, value]));
  for (const entry of edits.flatMap((each) => each.env ?? [])) {
    const at = entry.indexOf("=");
    env.set(entry.slice(0, at < 0 ? undefined : at), at < 0 ? "" : entry.slice(at + 1));
  }
  const mounts = new Map(config.mounts.map((mount) => [mount.containerPath, mount]));
  for (const mount of edits.flatMap((each) => each.mounts ?? [])) mounts.set(mount.containerPath, mountOf(mount));
  const devices = new Map(config.devices.map((device) => [device.containerPath, device]));
  for (const node of edits.flatMap((each) => each.deviceNodes ?? [])) devices.set(node.path, deviceOf(node));
  const groups = edits.flatMap(({ additionalGids = [] }) => additionalGids).filter((gid) => gid !== 0);
  const { security } = config;
  return {
    ...config,
    env: [...env].map(([name, value]) => ({ name, value })),
    mounts: [...mounts.values()],
    devices: [...devices.values()],
    security: { ...security, supplementalGroups: [...new Set([...security.supplementalGroups, ...groups])] },
    cdiDevices: undefined,
  };
}

function refuseUnsupported({ hooks = [], netDevices = [], intelRdt, mounts = [] }: ContainerEdits): void {
  const wanted = [
    ...hooks.map(({ hookName, path }) => `a ${hookName} hook (${path})`),
    ...(netDevices.length > 0 ? ["network devices"] : []),
    ...(intelRdt ? ["Intel RDT"] : []),
    ...mounts.filter(({ type = "" }) => !["", "bind", "none"].includes(type)).map(({ type }) => `a mount of ${type}`),
  ];
  if (wanted.length === 0) return;
  const text = `CDI device injection failed: ${wanted.join(", ")}: this takes a runtime with CDI, such as Docker 28.3, or 25 with its feature "cdi" switched on`;
  throw new RuntimeError("other", text);
}

function mountOf({ hostPath, containerPath, options = [] }: CdiMount): Mount {
  const propagation = options.includes("rshared") || options.includes("shared") ? "rshared" : undefined;
  const slave = options.includes("rslave") || options.includes("slave") ? "rslave" : undefined;
  const readOnly = options.includes("ro");
  return { hostPath, containerPath, readOnly, propagation: propagation ?? slave ?? "private" };
}

const deviceOf = ({ path, hostPath, permissions }: DeviceNode): ContainerConfig["devices"][number] => ({
  hostPath: hostPath || path,
  containerPath: path,
  permissions: permissions || "rwm",
});

/** `vendor.com/class=device` */
function splitName(name: string): [string, string] {
  const at = name.indexOf("=");
  return [name.slice(0, Math.max(at, 0)), name.slice(at + 1)];
}
