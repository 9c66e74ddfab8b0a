import { RuntimeError } from "#agent/runtime/runtime.ts";
import { earliest } from "#shared/api/time.ts";
import type { Pod, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import { PromptedLoop } from "#shared/client/prompted-loop.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { activeDeadline_ms, deadlineExceeded } from "./active-deadline.ts";
import type { Refusal } from "./node/pod-admission.ts";
import { resizeConditions } from "./node/pod-resize.ts";
import { executePlan } from "./plan-execution.ts";
import { newPlanRun } from "./plan-run.ts";
import { type ObservedPod, readySandbox } from "./planner/observed-pod.ts";
import { planPod } from "./planner/plan-pod.ts";
import type { PodPlan } from "./planner/pod-step.ts";
import { isTerminalPhase, podUid } from "./pod-containers.ts";
import type { KubeletParts } from "./pod-context.ts";
import { giveBack, type PodFailure, PodStop, removeTraces } from "./pod-end.ts";
import { PodEvents } from "./pod-events.ts";
import { PodResizer } from "./pod-resizer.ts";
import { observePod } from "./pod-runtime-state.ts";
import type { PodTimes } from "./pod-work-times.ts";
import { refreshShown } from "./shown-volumes.ts";
import type { WaitingReason } from "./status/container-statuses.ts";
import { podStatus, rejectedStatus, terminatedStatus } from "./status/pod-status.ts";
import { TerminationMessages } from "./termination-message.ts";
import { VolumeLimitError } from "./volumes/volume-error.ts";
import { VolumeRefresh } from "./volumes/volume-refresh.ts";

/** The pod is told to end: what still starts for it stops. */
class PodEnding extends Error {
  override readonly name = "PodEnding";
}

const firstRetry_ms = 1_000;
const longestRetry_ms = 30_000;
const stop_timeout_ms = 3_000;
/** Rounds of one run after which the rest waits for the next: a guard against a plan that never settles. */
const mostRounds = 20;

/**
 * Brings one pod to what its spec asks for: observe, publish, plan, execute, until nothing is left to do; then waits for
 * a prompt. Serial: prompts during a run cause one more. It ends when the pod has left the API and the board.
 */
export class PodWorker {
  readonly uid: string;
  readonly messages: TerminationMessages;
  #pod: Pod;
  readonly #loop = new PromptedLoop(() => this.#run());
  #abort = new AbortController();
  #admitted = false;
  /** The API no longer has the pod. */
  #gone = false;
  #failure: PodFailure | undefined;
  /** Never taken in: its status tells no more than that. */
  #rejected = false;
  /** All has been stopped for good. */
  #ended = false;
  /** It is to end, and nothing of it runs any more. */
  #hasStopped = false;
  readonly #stoppedAll = Promise.withResolvers<void>();
  readonly #refresh = new VolumeRefresh();
  #retries = 0;
  #observed: ObservedPod | undefined;
  readonly #waiting = new Map<string, WaitingReason>();
  readonly #resizer: PodResizer;
  readonly #stop: PodStop;
  readonly #times: PodTimes;
  readonly #trouble: StandingTrouble;

  constructor(
    readonly parts: KubeletParts,
    pod: Pod,
  ) {
    this.uid = podUid(pod);
    this.#pod = pod;
    this.#resizer = new PodResizer(pod);
    const ending = () => ({ pod: this.#pod, grace_s: this.#failure?.grace_s });
    this.#stop = new PodStop(parts, ending, () => this.#observe());
    this.#times = parts.workTimes.ofPod();
    this.#trouble = new StandingTrouble(parts.log, { wrong: "a pod could not be brought on" });
    this.messages = new TerminationMessages(parts.runtime, parts.volumes.volatilePodFolder(this.uid));
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** The pod with the resources that it has been granted, which may be others than it asks for. */
  get granted(): Pod {
    return this.#resizer.granted(this.#pod);
  }

  /** Its resize waits for room; since when, epoch ms. */
  get waitsForRoom(): { readonly since_ms: number } | undefined {
    return this.#resizer.waits;
  }

  /** Grants the resize that waits if there is room by now. */
  reconsiderResize(): void {
    if (!this.ending && this.#considerResize()) this.prompt();
  }

  /** What ran at the last look. */
  get observed(): ObservedPod | undefined {
    return this.#observed;
  }

  /** Does the pod run, with nobody having told it to end? */
  get active(): boolean {
    return !this.#ended && !isTerminalPhase(this.#pod.status?.phase) && this.#failure === undefined;
  }

  /** Does it hold resources of the board: from when it is taken in until nothing of it runs any more? */
  get holds(): boolean {
    if (this.#gone || this.#rejected || this.#hasStopped) return false;
    if (this.#admitted) return true;
    // Not looked at yet since this kubelet began: one that has started was taken in by the one before.
    const { phase, startTime } = this.#pod.status ?? {};
    return startTime !== undefined && !isTerminalPhase(phase);
  }

  /** Resolves when it has been told to end and nothing of it runs any more. */
  get stoppedAll(): Promise<void> {
    return this.#stoppedAll.promise;
  }

  /** It has been told to go, and is not gone yet. */
  get evicting(): boolean {
    return !this.#ended && this.#failure?.reason === "Evicted";
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The pod as the API has it now. */
  update(pod: Pod): void {
    const shown = (of: Pod): string => JSON.stringify([of.metadata.labels, of.metadata.annotations]);
    const isShownChanged = shown(pod) !== shown(this.#pod);
    if (isShownChanged) this.#refresh.want();
    if (isShownChanged || pod.metadata.generation !== this.#pod.metadata.generation) this.#times.noteChange();
    this.#pod = pod;
    this.parts.statuses.observe(pod);
    if (this.ending) this.#abort.abort(new PodEnding());
    this.#stop.reconsider();
    this.prompt();
  }

  /** The API no longer has the pod: end it, then leave nothing. */
  remove(): void {
    this.#gone = true;
    this.parts.statuses.forget(this.uid);
    this.#abort.abort(new PodEnding());
    this.prompt();
  }

  /** Ends the pod with phase Failed: eviction, a deadline, a refusal. */
  fail(failure: PodFailure): void {
    if (this.#failure) return;
    this.#failure = failure;
    this.#stop.reconsider();
    new PodEvents(this.parts.recorder, this.#pod).warning(failure.reason, failure.message);
    this.#abort.abort(new PodEnding());
    this.prompt();
  }

  /** Something that the pod's volumes show has changed. */
  refreshVolumes(): void {
    this.#refresh.want();
    this.prompt();
  }

  /** A probe of the pod has another result: it is told at once, also while a long step (a kill, a pull) runs. */
  probed(): void {
    if (this.#loop.isRunning && this.#observed && !this.#ended && !this.#gone) this.#publish(this.#observed);
    this.prompt();
  }

  /** Look at the pod again, soon. */
  prompt(): void {
    this.#loop.prompt();
  }

  /** Stops looking after the pod; what runs goes on. */
  async stop(): Promise<void> {
    const stopped = this.#loop.stop();
    this.#abort.abort(new PodEnding());
    // A kill may take its whole grace period; whoever looks after the pod next goes on with it.
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, stop_timeout_ms).unref())]);
  }

  /** Has it been told to end, or has it by itself? */
  get ending(): boolean {
    return (
      this.#gone ||
      this.#failure !== undefined ||
      this.#pod.metadata.deletionTimestamp !== undefined ||
      isTerminalPhase(this.#pod.status?.phase)
    );
  }

  async #run(): Promise<number | undefined> {
    try {
      const next_ms = await this.#times.measure(this.ending ? "end" : "bring on", () => this.#sync());
      this.#retries = 0;
      this.#trouble.end();
      return next_ms === undefined ? undefined : next_ms - this.parts.now_ms();
    } catch (error) {
      if (error instanceof PodEnding) {
        this.prompt();
        return undefined;
      }
      if (error instanceof VolumeLimitError && !this.#failure) {
        this.#reachedLimit(error);
        return undefined;
      }
      const { namespace, name } = this.#pod.metadata;
      this.#trouble.tell(error, { pod: `${namespace}/${name}` });
      return exponentialDelay_ms(this.#retries++, firstRetry_ms, longestRetry_ms);
    }
  }

  /** What the pod waits for never comes on this board. */
  #reachedLimit({ message }: VolumeLimitError): void {
    const reason = "VolumeAttachmentLimitExceeded";
    this.parts.counts.refused(reason);
    this.#reject({ reason, message });
    this.prompt();
  }

  /** Brings the pod on as far as it goes now. Gives the time at which to look again. */
  async #sync(): Promise<number | undefined> {
    let retryAt_ms: number | undefined;
    for (let round = 0; round < mostRounds; round++) {
      const observed = await this.#observe();
      if (!this.#admitted) await this.#admit(observed);
      const events = new PodEvents(this.parts.recorder, this.#pod);
      if ((this.#deadline_ms() ?? Infinity) <= this.parts.now_ms() && !this.#failure) {
        this.#failure = deadlineExceeded;
        events.normal(deadlineExceeded.reason, deadlineExceeded.message);
      }
      if (!this.ending) {
        this.#considerResize();
        this.#resizer.observe(this.#pod, observed, this.#isGroupBehind(observed), events);
      }
      // What has ended is told once: its end is no reason to judge it anew.
      const status = (this.#ended && this.parts.statuses.get(this.uid)) || this.#publish(observed);
      this.#times.notePhase(status.phase);
      if (this.ending || isTerminalPhase(status.phase)) return this.#end(observed);

      this.parts.probes.sync(this.#pod, status);
      this.parts.objects.retain(this.#pod);
      const refreshAt_ms = await refreshShown(this.#refresh, { pod: this.#pod, observed, parts: this.parts, events });
      const plan = this.#withPodLimits(planPod({ pod: this.granted }, observed, this.parts.now_ms()), observed);
      const failedAt = await this.#execute(plan, observed, events);
      retryAt_ms = earliest([plan.wakeAt_ms, failedAt, refreshAt_ms]);
      const progress = plan.steps.some(({ kind }) => kind !== "waitBackOff");
      if (failedAt !== undefined || !progress) {
        if (plan.steps.length > 0) this.#publish(await this.#observe());
        break;
      }
    }
    return earliest([retryAt_ms, this.#deadline_ms(), this.parts.volumes.refreshAt_ms(this.uid)]);
  }

  /** @returns whether another pod may have what this one gave back, or this one what it waited for */
  #considerResize(): boolean {
    const { admitter, recorder, now_ms, onFreed } = this.parts;
    const events = new PodEvents(recorder, this.#pod);
    const isGranted = this.#resizer.consider(
      this.#pod,
      (pod, granted) => admitter.refuseResize(pod, granted),
      events,
      now_ms(),
    );
    if (isGranted) onFreed(this.uid);
    return isGranted;
  }

  /** A pod that runs gets its own limits in step with those of its containers. */
  #withPodLimits(plan: PodPlan, observed: ObservedPod): PodPlan {
    if (!this.#isGroupBehind(observed)) return plan;
    return { ...plan, steps: [{ kind: "raisePodLimits" }, ...plan.steps, { kind: "settlePodLimits" }] };
  }

  /** A pod without a sandbox gets its group with one. */
  #isGroupBehind(observed: ObservedPod): boolean {
    return readySandbox(observed) !== undefined && (this.parts.cgroups?.isBehind(this.granted) ?? false);
  }

  async #observe(): Promise<ObservedPod> {
    const { runtime, probes, backOff } = this.parts;
    const observed = await this.#look({
      runtime,
      podUid: this.uid,
      hostIPs: this.parts.hostIPs(),
      liveness: probes.results("liveness"),
      startup: probes.results("startup"),
      backOff,
      now_ms: this.parts.now_ms(),
      resized: this.#resizer.resized,
    });
    this.#observed = observed;
    await this.messages.collect(this.#pod, observed.containers);
    await this.parts.logs.show(this.#pod, observed.containers);
    return observed;
  }

  async #look(input: Parameters<typeof observePod>[0]): Promise<ObservedPod> {
    try {
      return await observePod(input);
    } catch (error) {
      // A runtime that does not answer at all is told of at the Node, not at each pod.
      if (error instanceof RuntimeError && error.kind !== "unavailable")
        new PodEvents(this.parts.recorder, this.#pod).warning(
          "FailedSync",
          `error determining status: ${error.message}`,
        );
      throw error;
    }
  }

  /** A pod that has nothing on the board yet must fit; one that has been taken stays. */
  async #admit(observed: ObservedPod): Promise<void> {
    const isNew = observed.sandboxes.length === 0 && observed.containers.length === 0 && !this.ending;
    const take = (): void => {
      this.#admitted = true;
    };
    if (!isNew) return take();
    const refusal = await this.parts.admitter.admit(this.granted, this.#abort.signal, take);
    this.#admitted = true;
    if (refusal) this.#reject(refusal);
  }

  #reject({ reason, message }: Refusal): void {
    new PodEvents(this.parts.recorder, this.#pod).warning(reason, message);
    this.#rejected = true;
    this.#failure = { reason, message: `Pod was rejected: ${message}` };
  }

  #deadline_ms(): number | undefined {
    return activeDeadline_ms(this.#pod, this.parts.statuses.get(this.uid) ?? this.#pod.status);
  }

  #publish(observed: ObservedPod): PodStatus {
    const { parts } = this;
    const oldStatus = parts.statuses.get(this.uid) ?? this.#pod.status ?? {};
    const computed = podStatus({
      pod: this.granted,
      moreConditions: this.#ended ? [] : resizeConditions(this.#resizer.progress()),
      observed,
      oldStatus,
      ended: this.#ended,
      failure: this.#failure,
      waiting: this.#waiting,
      readiness: parts.probes.results("readiness"),
      runtimeName: parts.runtimeName,
      terminationMessage: (status) => this.messages.of(status, oldStatus),
      recursiveReadOnly: parts.recursiveReadOnly(),
      kubeletStartedAt_ms: parts.startedAt_ms,
      hostIPs: parts.hostIPs(),
      now_ms: parts.now_ms(),
    });
    const status = this.#rejected
      ? rejectedStatus(computed)
      : this.#ended
        ? terminatedStatus(computed, this.#pod)
        : computed;
    if (!this.#gone) parts.statuses.set(this.#pod, status, { mayRun: !this.#ended, finished: this.#ended });
    return status;
  }

  async #execute(plan: PodPlan, observed: ObservedPod, events: PodEvents): Promise<number | undefined> {
    const { parts, granted: pod } = this;
    const { resized } = this.#resizer;
    const run = newPlanRun({ parts, pod, observed, events, signal: this.#abort.signal, resized });
    const onResizeFailed = (message: string): void => this.#resizer.failed(this.#pod, message, events);
    return executePlan(plan, run, this.#waiting, onResizeFailed);
  }

  /** Stops all that runs and takes the pod's things away, as far as its end allows. */
  async #end(observed: ObservedPod): Promise<undefined> {
    const { parts, uid } = this;
    if (!this.#ended) {
      parts.probes.stopAllButReadiness(uid);
      const after = await this.#stop.run(observed);
      this.#hasStopped = true;
      this.#stoppedAll.resolve();
      parts.onFreed(uid);
      parts.probes.stop(uid);
      this.#waiting.clear();
      await giveBack(parts, uid);
      this.#ended = true;
      this.#publish(after);
    }
    if (!this.#gone) return;
    await removeTraces(parts, this.#pod, this.#observed);
    this.#loop.end();
    parts.onGone(uid);
  }
}
