export type KillReason =
  | "spec-changed"
  | "resize"
  | "liveness-probe"
  | "startup-probe"
  | "unknown-state"
  | "failed-post-start";

/**
 * One thing to do for a pod. Steps run in order. When a step that names a container fails, the rest for that container
 * is left out; when one without a container (or one of an ordinary init container) fails, the rest of the plan is.
 */
export type PodStep =
  /** Makes every volume present and current. */
  | { readonly kind: "mountVolumes" }
  /** Has drivers prepare the pod's ResourceClaims. */
  | { readonly kind: "prepareClaims" }
  /** Stops all that runs, in the order of termination, then the sandbox. */
  | { readonly kind: "killPod"; readonly grace_s?: number | undefined }
  | { readonly kind: "createSandbox"; readonly attempt: number }
  | {
      readonly kind: "killContainer";
      readonly container: string;
      readonly containerId: string;
      readonly message: string;
      readonly reason: KillReason;
    }
  /** Gives a running container the resources of the spec. */
  | { readonly kind: "resizeContainer"; readonly container: string; readonly containerId: string }
  /** Gives the pod's control group what the pod was granted, where that is more: before its containers get theirs. */
  | { readonly kind: "raisePodLimits" }
  /** Gives it exactly that: after them. */
  | { readonly kind: "settlePodLimits" }
  | { readonly kind: "removeContainer"; readonly containerId: string }
  /** Not yet: the container failed too often. */
  | { readonly kind: "waitBackOff"; readonly container: string; readonly until_ms: number; readonly delay_ms: number }
  | { readonly kind: "pullImage"; readonly container: string }
  | {
      readonly kind: "startContainer";
      readonly container: string;
      readonly attempt: number;
      /** When the last attempt ended: what back-off counts from. */
      readonly lastFinishedAt_ms?: number | undefined;
    }
  | { readonly kind: "runPostStart"; readonly container: string };

export interface PodPlan {
  readonly steps: readonly PodStep[];
  /** When to look again though nothing happens, in ms since the epoch. */
  readonly wakeAt_ms?: number | undefined;
}
