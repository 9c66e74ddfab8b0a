/** Short forms of what scenarios of Jobs make and do. */
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { template } from "./manifests.ts";
import { type Fields, isRunning, type World } from "./world.ts";

export const make = (
  world: World,
  more: Fields = {},
  podSpec: Fields = {},
  metadata: Fields = {},
): Promise<unknown> => {
  const own = template("work", "example/app:1", { restartPolicy: "Never", ...podSpec });
  return world.create("Job", "work", { spec: { template: own, ...more } }, metadata);
};
export const change = (world: World, spec: Fields): Promise<void> => world.patch("Job", "work", { spec });
export const conditionTypes = (world: World): string[] =>
  (world.room.get<Job>("Job", "work")?.status?.conditions ?? []).map(({ type }) => type);
export const indexOf = ({ metadata }: Pod): string | undefined =>
  metadata.annotations?.["batch.kubernetes.io/job-completion-index"];
export const atIndex =
  (index: number) =>
  (pod: Pod): boolean =>
    indexOf(pod) === String(index) && isRunning(pod);
export const disrupted: Fields = {
  conditions: [
    {
      type: "DisruptionTarget",
      status: "True",
      reason: "EvictionByEvictionAPI",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    },
  ],
};
export const indexed = (count: number, more: Fields = {}): Fields => ({
  completionMode: "Indexed",
  completions: count,
  parallelism: count,
  ...more,
});
export const succeedAt = async (world: World, ...indexes: number[]): Promise<void> => {
  for (const index of indexes) for (const pod of world.pods(atIndex(index))) await world.succeed(pod);
};
