import type { PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { isRestartableInit } from "../pod-containers.ts";

/**
 * Which running containers must have ended before each may be stopped (KEP-753): sidecars wait for all regular
 * containers and for the sidecars after them; everything else waits for nothing.
 */
export function terminationPrerequisites(spec: PodSpec, running: readonly string[]): Map<string, readonly string[]> {
  const isRunning = new Set(running);
  const regular = spec.containers.map(({ name }) => name).filter((name) => isRunning.has(name));
  const prerequisites = new Map<string, readonly string[]>();
  let laterSidecar: string | undefined;
  for (const container of [...(spec.initContainers ?? [])].reverse()) {
    if (!isRestartableInit(container) || !isRunning.has(container.name)) continue;
    prerequisites.set(container.name, laterSidecar === undefined ? regular : [...regular, laterSidecar]);
    laterSidecar = container.name;
  }
  return prerequisites;
}
