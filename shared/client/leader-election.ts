import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import type { ObjectKey } from "#shared/api/object.ts";
import { leases } from "#shared/api/resources.ts";
import type { Lease, LeaseSpec } from "#shared/api/types/coordination-v1.generated.ts";
import type { Client } from "./client.ts";
import { type Clock, microTimestamp, pause, systemClock } from "./clock.ts";
import type { EventRecorder } from "./event-recorder.ts";
import { type Log, silentLog } from "./log.ts";
import { StandingTrouble } from "./standing-trouble.ts";

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly lease: ObjectKey;
  /** Unlike that of any other candidate: host name and a random part. */
  readonly identity: string;
  readonly leaseDuration_ms?: number | undefined;
  readonly renewDeadline_ms?: number | undefined;
  readonly retryPeriod_ms?: number | undefined;
  /** How often a lease that is held is renewed, where that may be less often than a candidate tries. */
  readonly renewPeriod_ms?: number | undefined;
  /** Told of each turn. */
  readonly events?: EventRecorder | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  readonly random?: (() => number) | undefined;
}

/** How long another's lease has stood unchanged, by this board's own monotonic clock: written times are not compared,
 *  for boards' clocks disagree. */
interface Observed {
  readonly record: string;
  readonly at_ms: number;
}

/**
 * Holds a Lease by turns with other candidates, by the rules and times of client-go (15 s lease, 10 s to renew, a try
 * every 2 s). `lead` runs while the lease is held, and its signal aborts when it is lost; then it stands again. When
 * the outer signal aborts, the lease is given up at once, so that the next one need not wait. At no moment do two
 * candidates lead whose clocks run at about the same speed.
 */
export async function runLeaderElection(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const candidate = new Candidate(options);
  while (!signal.aborted) {
    if (!(await candidate.acquire(signal))) return;
    candidate.tell("became leader");
    const leading = new AbortController();
    const stop = (): void => leading.abort();
    signal.addEventListener("abort", stop, { once: true });
    const work = lead(leading.signal);
    try {
      await Promise.race([candidate.holdUntilLost(leading.signal), work]);
    } finally {
      leading.abort();
      signal.removeEventListener("abort", stop);
    }
    // Only when the work has ended may the lease go to another.
    await work;
    candidate.tell("stopped leading");
    await candidate.release();
  }
}

class Candidate {
  readonly #options: LeaderElectionOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #leaseDuration_ms: number;
  readonly #renewDeadline_ms: number;
  readonly #retryPeriod_ms: number;
  readonly #renewPeriod_ms: number;
  readonly #random: () => number;
  #observed: Observed | undefined;
  #held: Lease | undefined;
  readonly #trouble: StandingTrouble;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#trouble = new StandingTrouble(this.#log, {
      wrong: "could not take the lease",
      over: "the API server answers for the lease again",
    });
    this.#leaseDuration_ms = options.leaseDuration_ms ?? 15_000;
    this.#renewDeadline_ms = options.renewDeadline_ms ?? 10_000;
    this.#retryPeriod_ms = options.retryPeriod_ms ?? 2_000;
    this.#renewPeriod_ms = options.renewPeriod_ms ?? this.#retryPeriod_ms;
    this.#random = options.random ?? Math.random;
  }

  tell(what: "became leader" | "stopped leading"): void {
    const { events, lease, identity } = this.#options;
    const about = this.#held ?? { apiVersion: "coordination.k8s.io/v1", kind: "Lease", ...lease };
    events?.record(about, { type: "Normal", reason: "LeaderElection", message: `${identity} ${what}` });
  }

  /** True once the lease is held; false when the signal aborts first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (await this.#tryHold()) return true;
      await pause(this.#clock, this.#retryPeriod_ms * (1 + 1.2 * this.#random()), signal);
    }
    return false;
  }

  /** Resolves when the lease could not be renewed in time, or the signal aborts. */
  async holdUntilLost(signal: AbortSignal): Promise<void> {
    let renewed_ms = this.#clock.now_ms();
    let next_ms = this.#renewPeriod_ms;
    while (!signal.aborted) {
      await pause(this.#clock, next_ms, signal);
      if (signal.aborted) return;
      const began_ms = this.#clock.now_ms();
      const left_ms = this.#renewDeadline_ms - (began_ms - renewed_ms);
      // An attempt that hangs must not outlast the deadline.
      const held =
        left_ms > 0 && (await Promise.race([this.#tryHold(), pause(this.#clock, left_ms).then(() => false)]));
      next_ms = held ? this.#renewPeriod_ms : this.#retryPeriod_ms;
      if (held) renewed_ms = began_ms;
      else if (this.#clock.now_ms() - renewed_ms >= this.#renewDeadline_ms || this.#lostToAnother()) {
        this.#log.warn("lost the lease", { lease: this.#options.lease.name });
        return;
      }
    }
  }

  /** Empties the lease if it is still held; a failure only makes the next one wait. */
  async release(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (!held || held.spec?.holderIdentity !== this.#options.identity) return;
    const now = microTimestamp(this.#clock);
    const spec: LeaseSpec = {
      holderIdentity: "",
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: held.spec.leaseTransitions,
    };
    try {
      await this.#options.client.update(leases, { ...held, spec });
    } catch (error) {
      this.#log.info("could not release the lease", { error });
    }
  }

  #lostToAnother(): boolean {
    return this.#held === undefined;
  }

  async #tryHold(): Promise<boolean> {
    const { client, lease, identity } = this.#options;
    try {
      const present = await client.get(leases, lease);
      this.#observe(present);
      const holder = present.spec?.holderIdentity ?? "";
      if (holder !== "" && holder !== identity && !this.#expired()) {
        this.#held = undefined;
        this.#trouble.end({ lease: lease.name });
        return false;
      }
      const written = await client.update(leases, { ...present, spec: this.#renewedSpec(present.spec) });
      this.#observe(written);
      this.#held = written;
      this.#trouble.end({ lease: lease.name });
      return true;
    } catch (error) {
      if (isNotFound(error)) return this.#create();
      if (!isConflict(error)) this.#trouble.tell(error, { lease: lease.name });
      return false;
    }
  }

  async #create(): Promise<boolean> {
    const { client, lease } = this.#options;
    try {
      const created = await client.create<Lease>(leases, {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: lease.name, namespace: lease.namespace },
        spec: this.#renewedSpec(undefined),
      });
      this.#observe(created);
      this.#held = created;
      this.#trouble.end({ lease: lease.name });
      return true;
    } catch (error) {
      if (!isAlreadyExists(error)) this.#trouble.tell(error, { lease: lease.name });
      return false;
    }
  }

  #renewedSpec(present: LeaseSpec | undefined): LeaseSpec {
    const now = microTimestamp(this.#clock);
    const { identity } = this.#options;
    const mine = present?.holderIdentity === identity;
    const transitions = present?.leaseTransitions ?? 0;
    return {
      ...present,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseDuration_ms / 1000),
      acquireTime: mine ? (present.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: mine || !present ? transitions : transitions + 1,
    };
  }

  #observe({ spec }: Lease): void {
    const record = JSON.stringify([spec?.holderIdentity, spec?.renewTime, spec?.acquireTime]);
    if (this.#observed?.record !== record) this.#observed = { record, at_ms: this.#clock.now_ms() };
  }

  #expired(): boolean {
    return !this.#observed || this.#clock.now_ms() - this.#observed.at_ms >= this.#leaseDuration_ms;
  }
}
