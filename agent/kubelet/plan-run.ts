import type { ImageStatus } from "#agent/runtime/runtime.ts";
import type { Container, Pod, ResourceRequirements, Secret } from "#shared/api/types/core-v1.generated.ts";
import type { PodFacts } from "./container/field-ref.ts";
import { type ObservedPod, podIPs, readySandbox } from "./planner/observed-pod.ts";
import { findContainer } from "./pod-containers.ts";
import type { KubeletParts } from "./pod-context.ts";
import type { PodEvents } from "./pod-events.ts";
import type { MountedVolume } from "./volumes/mounted-volume.ts";

/** One run of a plan: what its steps learn from each other. */
export interface PlanRun {
  readonly parts: KubeletParts;
  readonly pod: Pod;
  readonly observed: ObservedPod;
  readonly events: PodEvents;
  /** Aborts when the pod is told to end. */
  readonly signal: AbortSignal;
  sandboxId: string | undefined;
  podIPs: readonly string[];
  volumes: ReadonlyMap<string, MountedVolume> | undefined;
  pullSecrets?: Promise<readonly Secret[]> | undefined;
  readonly images: Map<string, ImageStatus>;
  /** Containers started in this run, by name. */
  readonly started: Map<string, string>;
  /** Resources given to running containers, by container id. */
  readonly resized: Map<string, ResourceRequirements>;
}

/** A run that begins with what was observed; its steps add what they make. */
export function newPlanRun(
  given: Pick<PlanRun, "parts" | "pod" | "observed" | "events" | "signal" | "resized">,
): PlanRun {
  const sandbox = readySandbox(given.observed);
  const ips = given.pod.spec.hostNetwork ? given.parts.hostIPs() : podIPs(given.observed);
  return { ...given, sandboxId: sandbox?.id, podIPs: ips, volumes: undefined, images: new Map(), started: new Map() };
}

/** What volumes and environments may show of the pod and its board. */
export function factsOf({ pod, parts, podIPs }: Pick<PlanRun, "pod" | "parts" | "podIPs">): PodFacts {
  return { pod, podIPs, hostIPs: parts.hostIPs(), allocatable: parts.allocatable() };
}

/** The container that a step names. */
export function containerOf({ pod }: PlanRun, name: string): Container {
  const found = findContainer(pod.spec, name);
  if (!found) throw new Error(`the plan names container ${name}, which the pod does not have`);
  return found.container;
}
