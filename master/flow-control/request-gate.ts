import { tooManyRequests } from "#shared/api/errors.ts";
import type { FlowSchema, PriorityLevelConfiguration } from "#shared/api/types/flowcontrol-v1.generated.ts";
import type { RequestInfo, User } from "../apiserver/request.ts";
import { bootstrapConfiguration } from "./bootstrap-configuration.ts";
import { classify, inPrecedence } from "./classify.ts";
import { FlowCounts, type RejectReason } from "./flow-counts.ts";
import { type Arrival, PriorityLevel, type Visit } from "./priority-level.ts";
import { hasSeats, limitsOf } from "./seats.ts";

/** Requests that are served at the same time. Far fewer than upstream's 600, since one thread serves them: more at once
 *  would only wait inside, where nobody's turn is kept. */
export const serverSeats = 128;
/** Objects of a list for each seat that it takes, and the most that one takes, as upstream has it. */
const objectsPerSeat = 100;
const widest = 10;
const waitAtMost_ms = 15_000;

/** A request that may run: what to tell the client of it, and what to call when it has ended. */
export interface Passage {
  readonly flowSchemaUid: string;
  readonly priorityLevelUid: string;
  leave(): void;
}

/** Seats for a list of so many objects. */
export const widthOf = (objects: number): number => Math.min(widest, Math.max(1, Math.ceil(objects / objectsPerSeat)));

/** Lets requests in by the priority levels and flow schemas that stand in the cluster (KEP-1040). */
export class RequestGate {
  readonly counts = new FlowCounts();
  readonly #levels = new Map<string, PriorityLevel>();
  #schemas: readonly FlowSchema[] = [];

  constructor(private readonly seats = serverSeats) {
    this.configure(bootstrapConfiguration.priorityLevels, bootstrapConfiguration.flowSchemas);
  }

  get levels(): Iterable<PriorityLevel> {
    return this.#levels.values();
  }

  /** What is to hold from now on. The mandatory objects count even where they are missing, so that every request has a level. */
  configure(levels: readonly PriorityLevelConfiguration[], schemas: readonly FlowSchema[]): void {
    const { priorityLevels, flowSchemas } = bootstrapConfiguration;
    const wanted = withMandatory(levels, priorityLevels);
    const limits = limitsOf(wanted, this.seats);
    for (const configuration of wanted) {
      const name = configuration.metadata.name ?? "";
      const own = limits.get(name);
      if (!own) continue;
      const present = this.#levels.get(name);
      if (present) present.configure(configuration, own);
      else this.#levels.set(name, new PriorityLevel(configuration, own));
    }
    const named = new Set(wanted.map(({ metadata }) => metadata.name));
    for (const level of this.levels) {
      if (named.has(level.name)) continue;
      // One that is gone serves what still waits in it.
      level.isQuiescing = true;
      this.#dropIfQuiet(level);
    }
    this.#schemas = inPrecedence(withMandatory(schemas, flowSchemas)).filter(({ spec }) =>
      named.has(spec.priorityLevelConfiguration.name),
    );
  }

  /** Resolves when the request may run; at once (no promise) where it need not wait. Rejects with 429. */
  enter(user: User, info: RequestInfo, width: number, signal: AbortSignal): Passage | Promise<Passage> {
    const classified = classify(user, info, this.#schemas);
    const schema = classified?.schema;
    const level = this.#levels.get(schema?.spec.priorityLevelConfiguration.name ?? "catch-all");
    if (!level) throw new Error("there is no priority level catch-all");
    const schemaName = schema?.metadata.name ?? "catch-all";
    const came_ms = performance.now();
    const distinguisher = classified?.distinguisher ?? "";
    const visit: Visit = { schema: schemaName, distinguisher, user, info, width, came_ms };
    const waited = (outcome: "executed" | "refused"): void =>
      this.counts.waited(level.name, schemaName, (performance.now() - came_ms) / 1000, outcome);
    const pass = (ended?: (took_s: number) => void): Passage => {
      const began_ms = performance.now();
      let left = false;
      visit.began_ms = began_ms;
      level.seats += width;
      level.executing += 1;
      level.totals.dispatched += 1;
      level.running.add(visit);
      this.counts.dispatched(level.name, schemaName);
      if (!level.isExempt) waited("executed");
      return {
        flowSchemaUid: schema?.metadata.uid ?? "",
        priorityLevelUid: level.uid,
        leave: () => {
          if (left) return;
          left = true;
          level.seats -= width;
          level.executing -= 1;
          level.running.delete(visit);
          const took_s = (performance.now() - began_ms) / 1000;
          this.counts.executed(level.name, schemaName, took_s, info.verb === "watch" ? "watch" : "regular");
          ended?.(took_s);
          this.#admit(level);
          this.#dropIfQuiet(level);
        },
      };
    };
    if (level.isExempt || (level.waiting === 0 && hasSeats(level, width, this.levels))) return pass();
    const refusal = (reason: RejectReason): Error => {
      this.counts.rejected(level.name, schemaName, reason);
      level.totals[reason === "time-out" ? "timedOut" : reason === "cancelled" ? "cancelled" : "rejected"] += 1;
      waited("refused");
      return tooManyRequests("Too many requests, please try again later.", 1);
    };
    if (!level.queues) throw refusal("concurrency-limit");
    // Nobody is left to wait, and its signal will not say so once more.
    if (signal.aborted) throw refusal("cancelled");
    return this.#wait(level, visit, signal, pass, refusal);
  }

  #wait(
    level: PriorityLevel,
    visit: Visit,
    signal: AbortSignal,
    pass: (ended?: (took_s: number) => void) => Passage,
    refusal: (reason: RejectReason) => Error,
  ): Promise<Passage> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", cancelled);
      };
      const arrival: Arrival = {
        visit,
        admit: (ended) => {
          settle();
          resolve(pass(ended));
        },
      };
      const giveUp = (reason: RejectReason): void => {
        settle();
        level.leave(arrival);
        reject(refusal(reason));
      };
      const cancelled = (): void => giveUp("cancelled");
      const timer = setTimeout(() => giveUp("time-out"), waitAtMost_ms);
      signal.addEventListener("abort", cancelled);
      if (!level.enqueue(arrival)) giveUp("queue-full");
    });
  }

  /** A level without a configuration goes with the last of its requests: until then it would lend seats that are others' by now. */
  #dropIfQuiet(level: PriorityLevel): void {
    if (level.isQuiescing && level.waiting + level.executing === 0) this.#levels.delete(level.name);
  }

  /** After a seat became free: the level's own requests first, then those that may borrow it. */
  #admit(freed: PriorityLevel): void {
    this.#admitFrom(freed);
    for (const level of this.levels) if (level !== freed && level.waiting > 0) this.#admitFrom(level);
  }

  #admitFrom(level: PriorityLevel): void {
    for (let next = level.next(); next && hasSeats(level, next.visit.width, this.levels); next = level.next()) {
      level.admitNext();
    }
  }
}

function withMandatory<T extends { readonly metadata: { readonly name?: string | undefined } }>(
  present: readonly T[],
  bootstrap: readonly T[],
): T[] {
  const names = new Set(present.map(({ metadata }) => metadata.name));
  const missing = bootstrap.filter(
    ({ metadata }) => (metadata.name === "exempt" || metadata.name === "catch-all") && !names.has(metadata.name),
  );
  return [...present, ...missing];
}
