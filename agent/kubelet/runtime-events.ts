import { codeOf } from "#agent/runtime/cri/client.ts";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import { type Clock, pause, systemClock } from "#shared/client/clock.ts";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { GrpcCode } from "#shared/grpc/grpc-error.ts";

const firstRetry_ms = 1_000;
const longestRetry_ms = 15_000;
/** A runtime that tells nothing is looked at so often. */
const poll_ms = 2_000;
/** A stream that has stood for so long is no attempt any more. */
const steady_ms = 30_000;

export interface RuntimeEventsOptions {
  readonly runtime: Pick<ContainerRuntime, "events">;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Something has happened to a container of the pod. */
  readonly onEvent: (podUid: string) => void;
  /** Called before each try: what happened while nobody watched was told to nobody. */
  readonly onBegin: () => void;
  /** The stream has failed. */
  readonly onBreak: () => void;
  readonly clock?: Clock;
}

/**
 * Follows the container runtime's events until the signal aborts; never rejects. A runtime that is away is tried again after a
 * time that doubles from 1 s to 15 s, also one that comes and goes, and is told of once.
 */
export async function followRuntimeEvents(options: RuntimeEventsOptions): Promise<void> {
  const { runtime, log, signal, clock = systemClock } = options;
  const trouble = new StandingTrouble(log, {
    wrong: "the container runtime's events are interrupted",
    over: "the container runtime's events are told again",
  });
  let failures = 0;
  while (!signal.aborted) {
    let pollsOnly = false;
    const steady = clock.after(steady_ms, () => {
      failures = 0;
      trouble.end();
    });
    try {
      options.onBegin();
      for await (const { podUid } of runtime.events(signal)) {
        if (podUid) options.onEvent(podUid);
      }
      if (!signal.aborted) trouble.tell(new Error("the stream has ended"));
    } catch (error) {
      if (signal.aborted) return;
      pollsOnly = codeOf(error) === GrpcCode.Unimplemented;
      trouble.tell(error);
      options.onBreak();
    } finally {
      steady();
    }
    await pause(clock, pollsOnly ? poll_ms : exponentialDelay_ms(failures++, firstRetry_ms, longestRetry_ms), signal);
  }
}
