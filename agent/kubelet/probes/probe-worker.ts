import type { Container, Probe } from "#shared/api/types/core-v1.generated.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { ProbeResult } from "../planner/observed-pod.ts";
import { timerOf_ms } from "../spec-time.ts";
import type { ProbeOutcome } from "./run-probe.ts";

export type ProbeType = "liveness" | "readiness" | "startup";

/** The state of the container that a probe looks at. */
export interface ProbedContainer {
  readonly id: string;
  readonly running: boolean;
  readonly startedAt_ms: number;
  /** Its startup probe has succeeded, or it has none. */
  readonly started: boolean;
  readonly podIP: string;
}

export interface ProbeWorkerOptions {
  readonly type: ProbeType;
  readonly probe: Probe;
  readonly container: Container;
  /** Containers that started earlier keep the result they had in the pod's status. */
  readonly startedBefore_ms: number;
  run(probed: ProbedContainer): Promise<ProbeOutcome>;
  /** A threshold has been passed. */
  settle(containerId: string, result: ProbeResult): void;
  /** A probe failed, or succeeded with something to say. */
  tell(outcome: ProbeOutcome | Error): void;
  /** Each probe that ran, whatever came of it. */
  count?(outcome: ProbeOutcome | Error): void;
  readonly clock?: Clock | undefined;
}

const initialResult: { readonly [K in ProbeType]: ProbeResult } = {
  liveness: "success",
  readiness: "failure",
  startup: "unknown",
};
const attempts = 3;

/**
 * Runs one probe of one container every period while there is something to find out: no timer runs for a container that
 * is not running, has not started yet (readiness, liveness) or has (startup). Thresholds and initial results as upstream's
 * prober worker.
 */
export class ProbeWorker {
  #probed: ProbedContainer | undefined;
  /** Calls off the next run; undefined while none is to come. */
  #callOff: (() => void) | undefined;
  /** The run whose outcome is awaited. */
  #running: symbol | undefined;
  #hold = false;
  #stopped = false;
  #last: ProbeResult | undefined;
  #run = 0;
  readonly #clock: Clock;

  constructor(readonly options: ProbeWorkerOptions) {
    this.#clock = options.clock ?? systemClock;
  }

  /** Takes note of the container's present state. */
  update(probed: ProbedContainer): void {
    if (this.#stopped) return;
    const isNew = this.#probed?.id !== probed.id;
    this.#probed = probed;
    if (isNew) {
      this.#hold = false;
      this.#last = undefined;
      this.#run = 0;
      this.#cancel();
      // A container that is gone may leave its probe without an answer until that has had its time: the next does not wait for it.
      this.#running = undefined;
      if (probed.running && probed.startedAt_ms >= this.options.startedBefore_ms) {
        this.options.settle(probed.id, initialResult[this.options.type]);
      }
    }
    if (!this.#wanted(probed)) this.#cancel();
    else if (this.#callOff === undefined && !this.#running) {
      const delay_ms = timerOf_ms(this.options.probe.initialDelaySeconds, 0);
      // No longer than asked for, also when the clock has been put back since.
      this.#schedule(Math.min(delay_ms, Math.max(0, probed.startedAt_ms + delay_ms - this.#clock.wall_ms())));
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #wanted(probed: ProbedContainer): boolean {
    return probed.running && !this.#hold && probed.started === (this.options.type !== "startup");
  }

  #schedule(delay_ms: number): void {
    this.#callOff = this.#clock.after(delay_ms, () => {
      this.#callOff = undefined;
      void this.#tick();
    });
  }

  #cancel(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  async #tick(): Promise<void> {
    const probed = this.#probed;
    if (!probed || !this.#wanted(probed)) return;
    const period_ms = timerOf_ms(this.options.probe.periodSeconds, 10);
    const begun_ms = this.#clock.now_ms();
    const run = Symbol("run");
    this.#running = run;
    const outcome = await this.#attempt(probed);
    this.options.count?.(outcome);
    const current = this.#probed;
    // The container was replaced while its probe ran: the outcome is of no use.
    if (this.#stopped || !current || this.#running !== run) return;
    this.#running = undefined;
    this.#judge(probed, outcome);
    if (this.#wanted(current) && this.#callOff === undefined) {
      this.#schedule(Math.max(0, period_ms - (this.#clock.now_ms() - begun_ms)));
    }
  }

  async #attempt(probed: ProbedContainer): Promise<ProbeOutcome | Error> {
    let failure = new Error("the probe did not run");
    for (let attempt = 0; attempt < attempts; attempt++) {
      try {
        return await this.options.run(probed);
      } catch (error) {
        failure = error as Error;
      }
    }
    return failure;
  }

  #judge(probed: ProbedContainer, outcome: ProbeOutcome | Error): void {
    if (outcome instanceof Error || outcome.result !== "success") this.options.tell(outcome);
    if (outcome instanceof Error) return;
    const { type, probe } = this.options;
    const result: ProbeResult = outcome.result === "failure" ? "failure" : "success";
    this.#run = this.#last === result ? this.#run + 1 : 1;
    this.#last = result;
    const threshold = result === "failure" ? (probe.failureThreshold ?? 3) : (probe.successThreshold ?? 1);
    if (this.#run < threshold) return;
    this.options.settle(probed.id, result);
    if (type === "startup" || (type === "liveness" && result === "failure")) {
      // Nothing more to learn of this container.
      this.#hold = true;
      this.#run = 0;
    }
  }
}
