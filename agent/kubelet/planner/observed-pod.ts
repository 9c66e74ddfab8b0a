import type { ContainerStatus, SandboxStatus } from "#agent/runtime/runtime.ts";
import type { Container, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import { mainOfEachFamily } from "#shared/board/addresses.ts";
import { familyOf } from "#shared/net/ip-family.ts";
import type { BackOffEntry } from "../back-off.ts";

export type ProbeResult = "success" | "failure" | "unknown";

/** What the runtime and the probes show of a pod: all that a plan may depend on beside the spec and the time. */
export interface ObservedPod {
  /** Newest first. */
  readonly sandboxes: readonly SandboxStatus[];
  /** Of several of one name, which are its attempts, the newest first. */
  readonly containers: readonly ContainerStatus[];
  /** Results by container id. */
  readonly liveness: ReadonlyMap<string, ProbeResult>;
  readonly startup: ReadonlyMap<string, ProbeResult>;
  /** Resources that running containers have, by container id; one that is missing has what its spec says. */
  readonly resources: ReadonlyMap<string, ResourceRequirements>;
  /** The delay in force, when the container's last attempt ended at `finishedAt_ms`. */
  backOff(container: Container, finishedAt_ms: number): (BackOffEntry & { readonly until_ms: number }) | undefined;
}

/**
 * Attempts (of sandboxes, or of containers of one name) from the last one on. Their numbers tell, not their times: a board whose
 * clock was put back, as by a boot without a real-time clock, makes new ones that look older.
 */
export function newestFirst<T extends { readonly attempt: number; readonly createdAt_ms: number }>(
  items: readonly T[],
): T[] {
  return [...items].sort((a, b) => b.attempt - a.attempt || b.createdAt_ms - a.createdAt_ms);
}

/** The last attempt of a container. */
export function latest(observed: Pick<ObservedPod, "containers">, name: string): ContainerStatus | undefined {
  return observed.containers.find((status) => status.name === name);
}

/** The sandbox that serves, if just one does and it is the newest. */
export function readySandbox(observed: Pick<ObservedPod, "sandboxes">): SandboxStatus | undefined {
  const ready = observed.sandboxes.filter((sandbox) => sandbox.state === "ready");
  return ready.length === 1 && ready[0] === observed.sandboxes[0] ? ready[0] : undefined;
}

/** A pod's addresses as its status has them: one of each family, its board's main family first (upstream's sortPodIPs). */
export function inOrderOfHost(ips: readonly string[], hostIPs: readonly string[]): readonly string[] {
  const [hostIP] = hostIPs;
  const first = ips.filter((ip) => hostIP !== undefined && familyOf(ip) === familyOf(hostIP));
  return mainOfEachFamily([...first, ...ips.filter((ip) => !first.includes(ip))]);
}

/** Addresses of the pod on the pod network; empty with host network or before there is a sandbox. */
export function podIPs(observed: Pick<ObservedPod, "sandboxes">): readonly string[] {
  return readySandbox(observed)?.ips ?? [];
}
