import type { PriorityLevelConfiguration } from "#shared/api/types/flowcontrol-v1.generated.ts";
import type { RequestInfo, User } from "../apiserver/request.ts";
import { handOf } from "./shuffle-sharding.ts";

/** A request at a level, for people who look. */
export interface Visit {
  /** Name of the flow schema. */
  readonly schema: string;
  readonly distinguisher: string;
  readonly user: User;
  readonly info: RequestInfo;
  /** Seats that it takes while it runs. */
  readonly width: number;
  /** By the clock of `performance.now`. */
  readonly came_ms: number;
  /** undefined: it waits. */
  began_ms?: number;
  /** Index of the queue that it has waited in. */
  queue?: number;
}

/** A request at the door. */
export interface Arrival {
  readonly visit: Visit;
  /** Called when it may run; `ended` is to be told how long it ran. */
  admit(ended: (took_s: number) => void): void;
}

interface Queue {
  readonly waiting: Arrival[];
  /** Seat-seconds that requests of this queue have been given: who has had least goes first. */
  served_s: number;
}

/** What a request is taken to last until it has ended. */
const guessed_s = 0.01;

/** Of requests since the server's start. */
interface LevelTotals {
  dispatched: number;
  rejected: number;
  timedOut: number;
  cancelled: number;
}

/** A queue as it stands; sums are of those that wait in it. */
export interface QueueState {
  readonly index: number;
  readonly waiting: readonly Visit[];
  readonly executing: number;
  /** Seats of those that run. */
  readonly seats: number;
  /** Seat-seconds that it has been given: who has had least goes next. */
  readonly served_s: number;
  readonly seatsWanted: number;
  /** Seat-seconds that they are taken to last. */
  readonly work_s: number;
}

export interface LevelLimits {
  readonly nominal: number;
  readonly lendable: number;
  /** Seats beyond the nominal ones that may be taken from other levels. */
  readonly borrowable: number;
}

/** The seats of one priority level, and the fair queues before them (KEP-1040). Says nothing of other levels: who lends and
 *  borrows is decided over all of them. */
export class PriorityLevel {
  #configuration: PriorityLevelConfiguration;
  #queues: Queue[] = [];
  readonly limits: LevelLimits = { nominal: 0, lendable: 0, borrowable: 0 };
  /** Seats taken, and requests that take them. */
  seats = 0;
  executing = 0;
  waiting = 0;
  /** No configuration stands for it any more: it serves what it has, and goes. */
  isQuiescing = false;
  /** What takes its seats. */
  readonly running = new Set<Visit>();
  readonly totals: LevelTotals = { dispatched: 0, rejected: 0, timedOut: 0, cancelled: 0 };
  #fairTime_s = 0;

  constructor(configuration: PriorityLevelConfiguration, limits: LevelLimits) {
    this.#configuration = configuration;
    this.configure(configuration, limits);
  }

  /** Takes over a changed configuration; who waits stays. */
  configure(configuration: PriorityLevelConfiguration, limits: LevelLimits): void {
    this.#configuration = configuration;
    this.isQuiescing = false;
    Object.assign(this.limits, limits);
    const { queues = 64 } = this.#queuing ?? {};
    const wanted = this.queues ? queues : 1;
    const old = this.#queues.flatMap(({ waiting }) => waiting);
    if (this.#queues.length === wanted) return;
    this.#queues = Array.from({ length: wanted }, () => ({ waiting: [], served_s: this.#fairTime_s }));
    for (const arrival of old) this.#shortest(arrival.visit)?.waiting.push(arrival);
  }

  get name(): string {
    return this.#configuration.metadata.name ?? "";
  }

  get uid(): string {
    return this.#configuration.metadata.uid ?? "";
  }

  get isExempt(): boolean {
    return this.#configuration.spec.type === "Exempt";
  }

  /** Whether requests wait; else they are refused where there is no seat. */
  get queues(): boolean {
    return this.#configuration.spec.limited?.limitResponse?.type === "Queue";
  }

  get #queuing() {
    return this.#configuration.spec.limited?.limitResponse?.queuing;
  }

  /** For people who look: its queues, where requests wait at all. */
  queueStates(): QueueState[] {
    if (!this.queues) return [];
    return this.#queues.map(({ waiting, served_s }, index) => {
      const running = [...this.running].filter(({ queue }) => queue === index);
      const seatsOf = (visits: readonly Visit[]): number => visits.reduce((sum, { width }) => sum + width, 0);
      const visits = waiting.map(({ visit }) => visit);
      const seatsWanted = seatsOf(visits);
      return {
        index,
        waiting: visits,
        executing: running.length,
        seats: seatsOf(running),
        served_s,
        seatsWanted,
        work_s: seatsWanted * guessed_s,
      };
    });
  }

  /** Undefined when the shortest queue of the flow's hand is full. */
  enqueue(arrival: Arrival): "waits" | undefined {
    const { queueLengthLimit = 50 } = this.#queuing ?? {};
    const queue = this.#shortest(arrival.visit);
    if (!queue || queue.waiting.length >= queueLengthLimit) return undefined;
    // Who was away has saved nothing up.
    if (queue.waiting.length === 0) queue.served_s = Math.max(queue.served_s, this.#fairTime_s);
    queue.waiting.push(arrival);
    this.waiting += 1;
    return "waits";
  }

  #shortest({ schema, distinguisher }: Visit): Queue | undefined {
    const { handSize = 8 } = this.#queuing ?? {};
    const hand = handOf(`${schema}/${distinguisher}`, this.#queues.length, Math.min(handSize, this.#queues.length));
    let shortest: Queue | undefined;
    for (const index of hand) {
      const queue = this.#queues[index];
      if (queue && (!shortest || queue.waiting.length < shortest.waiting.length)) shortest = queue;
    }
    return shortest;
  }

  /** Who goes next, were there a seat. */
  next(): Arrival | undefined {
    return this.#fairest()?.waiting[0];
  }

  #fairest(): Queue | undefined {
    let fairest: Queue | undefined;
    for (const queue of this.#queues) {
      if (queue.waiting.length > 0 && (!fairest || queue.served_s < fairest.served_s)) fairest = queue;
    }
    return fairest;
  }

  /** Admits the one that `next` has named, and charges its queue. */
  admitNext(): void {
    const queue = this.#fairest();
    const arrival = queue?.waiting.shift();
    if (!queue || !arrival) return;
    const { visit } = arrival;
    this.waiting -= 1;
    this.#fairTime_s = queue.served_s;
    queue.served_s += guessed_s * visit.width;
    visit.queue = this.#queues.indexOf(queue);
    arrival.admit((took_s) => {
      queue.served_s += (took_s - guessed_s) * visit.width;
    });
  }

  /** False when it does not wait any more. */
  leave(arrival: Arrival): boolean {
    for (const { waiting } of this.#queues) {
      const at = waiting.indexOf(arrival);
      if (at < 0) continue;
      waiting.splice(at, 1);
      this.waiting -= 1;
      return true;
    }
    return false;
  }
}
