import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import type { Host } from "#agent/host/host.ts";
import type { ContainerConfig, Mount } from "#agent/runtime/runtime.ts";
import type { Container, Pod, VolumeMount } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { formatPod } from "../pod-containers.ts";
import type { MountedVolume } from "../volumes/mounted-volume.ts";
import { configError } from "./container-error.ts";
import { expand } from "./expansion.ts";
import { podHostname, renderHostsFile } from "./pod-hostname.ts";
import { prepareAttempt, terminationLogPath, writtenFilesFolder } from "./written-files.ts";

export interface MountInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly volumes: ReadonlyMap<string, MountedVolume>;
  readonly environment: readonly { readonly name: string; readonly value: string }[];
  readonly podIPs: readonly string[];
  readonly clusterDomain: string;
  readonly host: Host;
  /** The pod's folder in memory. */
  readonly podFolder: string;
  readonly log: Log;
  /** Can the pod's runtime make read-only what is mounted below a read-only mount? */
  readonly recursiveReadOnly: boolean;
}

/** Block volumes as devices. Throws ContainerStartError (CreateContainerConfigError) for a volume that is none. */
export function blockDevices({
  container,
  volumes,
}: Pick<MountInput, "container" | "volumes">): ContainerConfig["devices"] {
  return (container.volumeDevices ?? []).map(({ name, devicePath }) => {
    const volume = volumes.get(name);
    if (!volume) throw configError(`cannot find volume "${name}" to pass into container "${container.name}"`);
    if (!volume.block) throw configError(`volume ${name} has volumeMode Filesystem, but is specified in volumeDevices`);
    return { hostPath: volume.path, containerPath: devicePath, permissions: volume.readOnly ? "r" : "mrw" };
  });
}

function propagationOf({ mountPropagation }: VolumeMount): Mount["propagation"] {
  if (mountPropagation === "HostToContainer") return "rslave";
  return mountPropagation === "Bidirectional" ? "rshared" : "private";
}

/**
 * All mounts of a container: its volumes, /etc/hosts and the termination log. Makes the files and subpaths they need.
 * Rejects with ContainerStartError (CreateContainerConfigError).
 */
export async function containerMounts(input: MountInput): Promise<Mount[]> {
  const { pod, container } = input;
  const mounts: Mount[] = [];
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    mounts.push(await volumeMount(input, mount, index));
  }
  const overHosts = container.volumeMounts?.some(({ mountPath }) => mountPath === "/etc/hosts") ?? false;
  if (!overHosts && (pod.spec.hostNetwork || input.podIPs.length > 0)) mounts.push(await hostsMount(input));
  if (container.terminationMessagePath) mounts.push(await terminationMount(input, container.terminationMessagePath));
  return mounts;
}

async function volumeMount(input: MountInput, mount: VolumeMount, index: number): Promise<Mount> {
  const { container, host } = input;
  const volume = input.volumes.get(mount.name);
  if (!volume) throw configError(`cannot find volume "${mount.name}" to mount into container "${container.name}"`);
  if (volume.block) throw configError(`volume ${mount.name} has volumeMode Block, but is specified in volumeMounts`);
  const subPath = subPathOf(input, mount);
  const propagation = propagationOf(mount);
  const containerPath = isAbsolute(mount.mountPath) ? mount.mountPath : `/${mount.mountPath}`;
  // An image's mount is read-only and noexec already; runtimes that are asked for read-only forget the latter.
  const readOnly = volume.kind !== "image" && ((mount.readOnly ?? false) || volume.readOnly);
  const recursiveReadOnly = isRecursive(mount, input.recursiveReadOnly);
  if (subPath === "") {
    if (propagation !== "private") ensureShared(host, volume.path);
    return { hostPath: volume.path, containerPath, readOnly, propagation, recursiveReadOnly };
  }
  const target = join(input.podFolder, "volume-subpaths", mount.name, container.name, String(index));
  try {
    // An earlier attempt's mount may show a path that has been replaced since.
    host.unmountTree(target, { lazy: true });
    await mkdir(join(target, ".."), { recursive: true, mode: 0o750 });
    host.bindSubPath({ volumePath: volume.path, subPath, target, createMode: "inherit" });
  } catch (error) {
    // The pod is not told more: what stands in the way may be the board's own.
    input.log.warn("a subPath cannot be mounted", { pod: formatPod(input.pod), container: container.name, error });
    throw configError(`failed to prepare subPath for volumeMount "${mount.name}" of container "${container.name}"`);
  }
  return { hostPath: target, containerPath, readOnly, propagation, recursiveReadOnly };
}

function isRecursive({ name, recursiveReadOnly }: VolumeMount, isSupported: boolean): boolean {
  if (recursiveReadOnly === "IfPossible") return isSupported;
  if (recursiveReadOnly !== "Enabled") return false;
  if (isSupported) return true;
  throw configError(
    `failed to resolve recursive read-only mode: volume "${name}" requested recursive read-only mode, but it is not supported by the runtime`,
  );
}

function subPathOf(input: MountInput, mount: VolumeMount): string {
  let subPath = mount.subPath ?? "";
  if (mount.subPathExpr) {
    const values = new Map(input.environment.map(({ name, value }) => [name, value]));
    const missing: string[] = [];
    subPath = expand(mount.subPathExpr, (name) => {
      const value = values.get(name);
      if (!value) missing.push(name);
      return value ?? "";
    });
    if (missing.length > 0) throw configError(`missing value for ${[...new Set(missing)].sort().join(", ")}`);
  }
  if (subPath === "") return "";
  if (isAbsolute(subPath)) throw configError(`error SubPath \`${subPath}\` must not be an absolute path`);
  if (subPath.split("/").includes("..")) {
    throw configError(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
  }
  return subPath;
}

/** Docker passes mounts on only from a mount point that shares them. */
function ensureShared(host: Host, path: string): void {
  const covering = host
    .mounts()
    .filter((mount) => mount.path === "/" || path === mount.path || path.startsWith(`${mount.path}/`))
    .sort((a, b) => a.path.length - b.path.length)
    .at(-1);
  if (covering?.propagation !== "shared") host.makeShared(path);
}

async function hostsMount(input: MountInput): Promise<Mount> {
  const { pod, podIPs, clusterDomain } = input;
  const { hostname, domain } = podHostname(pod, clusterDomain);
  const text = renderHostsFile({
    podIPs,
    hostname,
    domain,
    hostAliases: pod.spec.hostAliases ?? [],
    hostFile: pod.spec.hostNetwork ? await readFile("/etc/hosts", "utf8").catch(() => "") : undefined,
  });
  // No container has such a name.
  const path = join(await writtenFilesFolder(input), ".etc-hosts");
  await writeFile(path, text);
  await chmod(path, 0o644);
  return { hostPath: path, containerPath: "/etc/hosts", readOnly: false, propagation: "private" };
}

async function terminationMount(input: MountInput, messagePath: string): Promise<Mount> {
  const { container, attempt, podFolder } = input;
  await prepareAttempt(input, container.name, attempt);
  const path = terminationLogPath(podFolder, container.name, attempt);
  await writeFile(path, "");
  // Any user that the container runs as may write it.
  await chmod(path, 0o666);
  return {
    hostPath: path,
    containerPath: isAbsolute(messagePath) ? messagePath : `/${messagePath}`,
    readOnly: false,
    propagation: "private",
  };
}
