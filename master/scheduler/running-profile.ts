import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Profile } from "./configuration/profile.ts";
import type { StepTimer } from "./extension-times.ts";
import type { SchedulerPlugin } from "./framework.ts";
import type { SchedulerMetrics } from "./scheduler-metrics.ts";

/** A profile at work. */
export interface RunningProfile extends Profile {
  readonly events: EventRecorder;
  readonly byName: ReadonlyMap<string, SchedulerPlugin>;
}

/** Times the steps of the profile's pods. */
export const timerOf =
  ({ schedulerName }: Profile, { steps }: SchedulerMetrics): StepTimer =>
  (point) =>
    steps.begin(point, schedulerName);
