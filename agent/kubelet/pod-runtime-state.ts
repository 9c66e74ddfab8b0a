import type { ContainerRuntime, ContainerStatus } from "#agent/runtime/runtime.ts";
import type { ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import type { BackOff } from "./back-off.ts";
import { backOffKey, resourcesOf } from "./container-identity.ts";
import { inOrderOfHost, newestFirst, type ObservedPod, type ProbeResult } from "./planner/observed-pod.ts";

export interface ObserveInput {
  readonly runtime: ContainerRuntime;
  readonly podUid: string;
  /** The board's own addresses: the order of theirs is that of the pod's. */
  readonly hostIPs: readonly string[];
  readonly liveness: ReadonlyMap<string, ProbeResult>;
  readonly startup: ReadonlyMap<string, ProbeResult>;
  readonly backOff: BackOff;
  readonly now_ms: number;
  /** Resources given to containers since they were made, by container id. */
  readonly resized: ReadonlyMap<string, ResourceRequirements>;
}

/** What runs of a pod now. */
export async function observePod(input: ObserveInput): Promise<ObservedPod> {
  const { runtime, podUid, backOff, now_ms } = input;
  const [sandboxes, containers] = await Promise.all([
    runtime.listSandboxes({ podUid }),
    runtime.listContainers({ podUid }),
  ]);
  return {
    sandboxes: newestFirst(
      sandboxes
        .filter(({ pod }) => pod.uid === podUid)
        .map((sandbox) => ({ ...sandbox, ips: inOrderOfHost(sandbox.ips, input.hostIPs) })),
    ),
    containers: newestFirst(containers.filter(({ pod }) => pod.uid === podUid).map(settleFailedStart)),
    resources: new Map(
      containers.flatMap((status) => {
        const resources = input.resized.get(status.id) ?? resourcesOf(status);
        return resources ? [[status.id, resources] as const] : [];
      }),
    ),
    liveness: input.liveness,
    startup: input.startup,
    backOff: (container, finishedAt_ms) => {
      const key = backOffKey(podUid, container);
      const entry = backOff.get(key);
      const until_ms = backOff.waitUntil(key, finishedAt_ms, now_ms);
      return entry && until_ms !== undefined ? { ...entry, until_ms } : undefined;
    },
  };
}

/** A container that could not be started has ended, whatever the runtime calls it: it is retried with back-off. */
function settleFailedStart(status: ContainerStatus): ContainerStatus {
  if (status.state !== "created" || !status.error) return status;
  return {
    ...status,
    state: "exited",
    exitCode: status.exitCode || 128,
    finishedAt_ms: status.finishedAt_ms ?? status.createdAt_ms,
  };
}
