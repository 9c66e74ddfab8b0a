import type { Container, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import { containersOf } from "./wording.ts";

export interface CheckedPod {
  readonly metadata: Pick<ObjectMeta, "annotations">;
  readonly spec: PodSpec;
}

/** What a check found: a short reason, and which containers or fields. */
export interface Violation {
  readonly reason: string;
  readonly detail: string;
}

/** One check of one pod; undefined when it passes. */
export type CheckPod = (pod: CheckedPod) => Violation | undefined;

export const isWindows = ({ spec }: CheckedPod): boolean => spec.os?.name === "windows";
export const hasUserNamespace = ({ spec }: CheckedPod): boolean => spec.hostUsers === false;
export const unless =
  (exempt: (pod: CheckedPod) => boolean, check: CheckPod): CheckPod =>
  (pod) =>
    exempt(pod) ? undefined : check(pod);

export const badContainers = ({ spec }: CheckedPod, isBad: (container: Container) => boolean): string[] =>
  containersOf(spec)
    .filter(isBad)
    .map(({ name }) => name);
