import { type Clock, systemClock } from "#shared/client/clock.ts";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import type { ClusterChange, ClusterEvent } from "./framework.ts";
import type { PodInfo } from "./pod-info.ts";
import { QueueCounts, type QueuePart, type QueueReason } from "./queue-counts.ts";
import type { PendingPods, SchedulingEffort } from "./scheduler-metrics.ts";
import { schedulerNameOf } from "./scheduler-name.ts";

const gatesPlugin = "SchedulingGates";

interface Entry {
  info: PodInfo;
  /** When the pod came first, for the order among equals. */
  readonly since_ms: number;
  readonly order: number;
  attempts: number;
  /** When the first attempt began; undefined before it. */
  firstTried_ms: number | undefined;
  state: "ready" | "backingOff" | "unschedulable" | "gated" | "inFlight";
  readyAt_ms: number;
  parkedAt_ms: number;
  rejectedBy: ReadonlySet<string>;
  /** Why it is kept aside: "SchedulingGates", or the plugin that has it wait. */
  keptOutBy: string | undefined;
  /** The last attempt went wrong: its back-off is kept even when there is nothing else to do. */
  failed: boolean;
  /** Changes, its own too, seen while the pod was being decided on: it may have missed them. */
  readonly seenInFlight: Set<ClusterChange>;
}

/** The plugin that has the pod wait before it is looked at at all. */
type KeptOutBy = (pod: PodInfo) => string | undefined;

/** Whether the change may let a pod fit that the plugin of that name rejected. */
export type MayHelp = (plugin: string, pod: PodInfo, event: ClusterEvent) => boolean;

export interface SchedulingQueueOptions {
  readonly clock?: Clock | undefined;
  /** Absent: none is, but for gates. */
  readonly keptOutBy?: KeptOutBy | undefined;
  readonly firstBackOff_ms?: number | undefined;
  readonly longestBackOff_ms?: number | undefined;
  /** A pod parked so long is tried again without any reason. */
  readonly parkedAtMost_ms?: number | undefined;
}

/**
 * Pods that wait for a node. Those ready come out by priority, then by age. One that no node takes is parked until a
 * change in the cluster concerns a plugin that rejected it; then it waits out its back-off (1 s, doubling to 10 s), unless
 * nothing else is to be done. Pods with scheduling gates are kept aside, and those that a plugin keeps out until a change
 * concerns it. The number of entries is that of unscheduled pods.
 */
export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #firstBackOff_ms: number;
  readonly #longestBackOff_ms: number;
  readonly #parkedAtMost_ms: number;
  readonly #entries = new Map<string, Entry>();
  readonly #mayHelp: MayHelp;
  readonly #keptOutBy: KeptOutBy;
  readonly counts = new QueueCounts();
  #order = 0;
  #waiting: ((info: PodInfo | undefined) => void) | undefined;
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor(mayHelp: MayHelp, options: SchedulingQueueOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#firstBackOff_ms = options.firstBackOff_ms ?? 1_000;
    this.#longestBackOff_ms = options.longestBackOff_ms ?? 10_000;
    this.#parkedAtMost_ms = options.parkedAtMost_ms ?? 300_000;
    this.#mayHelp = mayHelp;
    this.#keptOutBy = options.keptOutBy ?? (() => undefined);
  }

  /** A pod that needs a node, or its newer state, with what of it has changed. */
  set(info: PodInfo, changes: readonly ClusterEvent[] = []): void {
    const entry = this.#entries.get(info.uid);
    if (!entry) {
      const keptOutBy = this.#whyKeptOut(info);
      this.#entries.set(info.uid, {
        info,
        since_ms: this.#clock.now_ms(),
        order: this.#order++,
        attempts: 0,
        firstTried_ms: undefined,
        state: keptOutBy ? "gated" : "ready",
        readyAt_ms: 0,
        parkedAt_ms: 0,
        rejectedBy: new Set(),
        keptOutBy,
        failed: false,
        seenInFlight: new Set(),
      });
      this.counts.came(keptOutBy ? "unschedulable" : "active", "UnschedulablePodAdd");
    } else {
      entry.info = info;
      if (entry.state === "gated") this.#ready(entry, "UnschedulablePodUpdate");
      else if (entry.state === "inFlight") for (const { change } of changes) entry.seenInFlight.add(change);
      else if (entry.state === "unschedulable" && changes.some((event) => this.#concerns(entry, event)))
        this.counts.came(this.#wake(entry), "UnschedulablePodUpdate");
    }
    this.#handOut();
  }

  /** The pod is gone, bound, or nobody's business here. */
  delete(uid: string): void {
    this.#entries.delete(uid);
  }

  has(uid: string): boolean {
    return this.#entries.has(uid);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How many wait, by why they do. */
  get pending(): PendingPods {
    const counts = { active: 0, backoff: 0, unschedulable: 0, gated: 0 };
    for (const { state } of this.#entries.values()) {
      if (state === "ready") counts.active += 1;
      else if (state === "backingOff") counts.backoff += 1;
      else if (state !== "inFlight") counts[state] += 1;
    }
    return counts;
  }

  /** For each pod that waits because of plugins, their names and who is to schedule it. */
  *rejections(): Generator<{ readonly plugins: ReadonlySet<string>; readonly profile: string }> {
    for (const { state, rejectedBy: plugins, info } of this.#entries.values())
      if (state !== "inFlight" && plugins.size > 0) yield { plugins, profile: schedulerNameOf(info.pod) };
  }

  /** What it has taken until now to schedule the pod. */
  effortOf(uid: string): SchedulingEffort | undefined {
    const { attempts = 0, firstTried_ms } = this.#entries.get(uid) ?? {};
    return firstTried_ms === undefined
      ? undefined
      : { attempts, took_s: (this.#clock.now_ms() - firstTried_ms) / 1000 };
  }

  /** The next pod to decide on; undefined once closed. One caller at a time. */
  next(): Promise<PodInfo | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#handOut();
    });
  }

  /** No node took the pod. */
  park(info: PodInfo, rejectedBy: ReadonlySet<string>): void {
    const entry = this.#entries.get(info.uid);
    if (!entry) return;
    entry.rejectedBy = rejectedBy;
    entry.failed = false;
    entry.parkedAt_ms = this.#clock.now_ms();
    entry.readyAt_ms = this.#backOffEnd_ms(entry);
    entry.state = "unschedulable";
    this.counts.came("unschedulable", "ScheduleAttemptFailure");
    const missed = [...entry.seenInFlight].find((change) => this.#concerns(entry, { change }));
    if (missed) this.counts.woken(this.#wake(entry), missed);
    entry.seenInFlight.clear();
    this.#handOut();
  }

  /** Something went wrong that has nothing to do with the cluster's state: try again after the back-off. */
  retry(info: PodInfo): void {
    const entry = this.#entries.get(info.uid);
    if (!entry) return;
    entry.state = "backingOff";
    this.counts.came("backoff", "ScheduleAttemptFailure");
    entry.readyAt_ms = this.#backOffEnd_ms(entry);
    entry.rejectedBy = new Set();
    entry.failed = true;
    entry.seenInFlight.clear();
    this.#handOut();
  }

  /** Wakes the pods that the change concerns. */
  notice(event: ClusterEvent): void {
    for (const entry of this.#entries.values()) {
      if (entry.state === "inFlight") entry.seenInFlight.add(event.change);
      else if (entry.state === "unschedulable" && this.#concerns(entry, event))
        this.counts.woken(this.#wake(entry), event.change);
      else if (entry.state === "gated" && this.#concernsGate(entry, event) && !this.#isKeptOut(entry))
        this.counts.woken(this.#wake(entry), event.change);
    }
    this.#handOut();
  }

  /** What kept the pod out by itself, not by what the cluster is like, may do so no longer. */
  letIn(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry?.state !== "gated" || this.#isKeptOut(entry)) return;
    this.#wake(entry);
    this.#handOut();
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#waiting?.(undefined);
    this.#waiting = undefined;
  }

  #concerns({ rejectedBy, info }: Entry, event: ClusterEvent): boolean {
    for (const plugin of rejectedBy) if (this.#mayHelp(plugin, info, event)) return true;
    return rejectedBy.size === 0;
  }

  #whyKeptOut(info: PodInfo): string | undefined {
    return (info.pod.spec?.schedulingGates?.length ?? 0) > 0 ? gatesPlugin : this.#keptOutBy(info);
  }

  /** Gates are taken away in the pod itself. */
  #concernsGate({ keptOutBy, info }: Entry, event: ClusterEvent): boolean {
    return keptOutBy !== undefined && keptOutBy !== gatesPlugin && this.#mayHelp(keptOutBy, info, event);
  }

  /** Says to which part of the queue it has come. */
  #wake(entry: Entry): QueuePart {
    if (this.#isKeptOut(entry)) return "unschedulable";
    const isReady = entry.readyAt_ms <= this.#clock.now_ms();
    entry.state = isReady ? "ready" : "backingOff";
    return isReady ? "active" : "backoff";
  }

  /** Looked at anew each time that the pod would become ready: what it needs may have gone meanwhile. */
  #isKeptOut(entry: Entry): boolean {
    entry.keptOutBy = this.#whyKeptOut(entry.info);
    if (!entry.keptOutBy) return false;
    entry.state = "gated";
    return true;
  }

  #ready(entry: Entry, why: QueueReason): void {
    if (this.#isKeptOut(entry)) return;
    entry.state = "ready";
    this.counts.came("active", why);
  }

  #backOffEnd_ms(entry: Entry): number {
    const backOff_ms = exponentialDelay_ms(entry.attempts - 1, this.#firstBackOff_ms, this.#longestBackOff_ms);
    return this.#clock.now_ms() + Math.max(backOff_ms, 0);
  }

  #handOut(): void {
    if (!this.#waiting || this.#closed) return;
    const now_ms = this.#clock.now_ms();
    let best: Entry | undefined;
    let bestInBackOff: Entry | undefined;
    let wakeAt_ms = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      if (entry.state === "backingOff" && entry.readyAt_ms <= now_ms) this.#ready(entry, "BackoffComplete");
      if (entry.state === "unschedulable") {
        const end_ms = entry.parkedAt_ms + this.#parkedAtMost_ms;
        if (end_ms <= now_ms) this.#ready(entry, "UnschedulableTimeout");
        else wakeAt_ms = Math.min(wakeAt_ms, end_ms);
      }
      if (entry.state === "ready" && (!best || before(entry, best))) best = entry;
      if (entry.state === "backingOff") {
        wakeAt_ms = Math.min(wakeAt_ms, entry.readyAt_ms);
        if (!entry.failed && (!bestInBackOff || before(entry, bestInBackOff))) bestInBackOff = entry;
      }
    }
    const chosen = best ?? bestInBackOff;
    if (!chosen) {
      this.#armTimer(wakeAt_ms);
      return;
    }
    if (chosen === bestInBackOff) this.counts.came("active", "PopFromBackoffQ");
    chosen.state = "inFlight";
    chosen.attempts++;
    chosen.firstTried_ms ??= now_ms;
    const hand = this.#waiting;
    this.#waiting = undefined;
    hand(chosen.info);
  }

  #armTimer(at_ms: number): void {
    this.#cancelTimer?.();
    if (!Number.isFinite(at_ms)) return;
    this.#cancelTimer = this.#clock.after(at_ms - this.#clock.now_ms(), () => this.#handOut());
  }
}

function before(a: Entry, b: Entry): boolean {
  if (a.info.priority !== b.info.priority) return a.info.priority > b.info.priority;
  return a.since_ms !== b.since_ms ? a.since_ms < b.since_ms : a.order < b.order;
}
