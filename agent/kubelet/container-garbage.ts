import type { ContainerRuntime, ContainerStatus, SandboxStatus } from "#agent/runtime/runtime.ts";
import { ignoreMissing } from "./kill.ts";
import { newestFirst } from "./planner/observed-pod.ts";

/** Ended attempts of a container that are kept: the last two tell `state` and `lastState`, and serve `logs --previous`. */
const keptAttempts = 2;
/** Only what has been dead for a while is garbage. */
const youngest_ms = 60_000;

/** Takes away what pods on the board have left over: attempts before the last ones, and sandboxes that have been replaced. */
export class ContainerGarbage {
  constructor(
    readonly runtime: ContainerRuntime,
    readonly now_ms: () => number = Date.now,
  ) {}

  /** @returns how many containers and sandboxes went. */
  async collect(containers: readonly ContainerStatus[], sandboxes: readonly SandboxStatus[]): Promise<number> {
    const dead = deadAttempts(containers, this.now_ms());
    for (const { id } of dead) await ignoreMissing(this.runtime.removeContainer(id));
    const gone = new Set(dead.map(({ id }) => id));
    const inUse = new Set(containers.filter(({ id }) => !gone.has(id)).map(({ sandboxId }) => sandboxId));
    const replaced = replacedSandboxes(sandboxes, this.now_ms()).filter(({ id }) => !inUse.has(id));
    for (const { id } of replaced) await ignoreMissing(this.runtime.removeSandbox(id));
    return dead.length + replaced.length;
  }
}

/** Ended attempts beyond those that are kept of each container. */
function deadAttempts(containers: readonly ContainerStatus[], now_ms: number): ContainerStatus[] {
  const byName = Map.groupBy(newestFirst(containers), ({ pod, name }) => `${pod.uid}/${name}`);
  return [...byName.values()].flatMap((attempts) =>
    attempts.slice(keptAttempts).filter(({ state, finishedAt_ms, createdAt_ms }) => {
      return state !== "running" && now_ms - (finishedAt_ms ?? createdAt_ms) > youngest_ms;
    }),
  );
}

/** Sandboxes that no longer serve beside a newer one of the same pod. */
function replacedSandboxes(sandboxes: readonly SandboxStatus[], now_ms: number): SandboxStatus[] {
  const byPod = Map.groupBy(newestFirst(sandboxes), ({ pod }) => pod.uid);
  return [...byPod.values()].flatMap((attempts) =>
    attempts.slice(1).filter(({ state, createdAt_ms }) => state !== "ready" && now_ms - createdAt_ms > youngest_ms),
  );
}
