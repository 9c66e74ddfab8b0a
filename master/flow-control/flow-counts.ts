import type { PriorityLevel } from "./priority-level.ts";

export type RejectReason = "queue-full" | "concurrency-limit" | "time-out" | "cancelled";

export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** How many requests were let in and refused, by level and schema. */
export class FlowCounts {
  readonly #dispatched = new Map<string, number>();
  readonly #rejected = new Map<string, number>();

  dispatched(level: string, schema: string): void {
    count(this.#dispatched, `${level}|${schema}`);
  }

  rejected(level: string, schema: string, reason: RejectReason): void {
    count(this.#rejected, `${level}|${schema}|${reason}`);
  }

  dispatchedSamples(): Sample[] {
    return samples(this.#dispatched, ["priority_level", "flow_schema"]);
  }

  rejectedSamples(): Sample[] {
    return samples(this.#rejected, ["priority_level", "flow_schema", "reason"]);
  }
}

const count = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1);

const samples = (counts: ReadonlyMap<string, number>, names: readonly string[]): Sample[] =>
  [...counts].map(([key, value]) => {
    const parts = key.split("|");
    return { labels: Object.fromEntries(names.map((name, index) => [name, parts[index] ?? ""])), value };
  });

/** Gauges of the levels as they stand, under upstream's names. */
export const levelGauges: Readonly<Record<string, { readonly help: string; of(level: PriorityLevel): number }>> = {
  apiserver_flowcontrol_nominal_limit_seats: {
    help: "Seats of the level by its shares.",
    of: ({ limits }) => limits.nominal,
  },
  apiserver_flowcontrol_lower_limit_seats: {
    help: "Seats that the level never lends.",
    of: ({ limits }) => limits.nominal - limits.lendable,
  },
  apiserver_flowcontrol_upper_limit_seats: {
    help: "Seats that the level may have at most.",
    of: ({ limits }) => limits.nominal + limits.borrowable,
  },
  apiserver_flowcontrol_current_executing_seats: {
    help: "Seats taken now.",
    of: ({ seats }) => seats,
  },
  apiserver_flowcontrol_current_executing_requests: {
    help: "Requests that run now.",
    of: ({ executing }) => executing,
  },
  apiserver_flowcontrol_current_inqueue_requests: {
    help: "Requests that wait for a seat.",
    of: ({ waiting }) => waiting,
  },
};
