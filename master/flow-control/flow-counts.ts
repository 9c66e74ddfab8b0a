import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, HistogramTable } from "#shared/metrics/tables.ts";
import type { PriorityLevel } from "./priority-level.ts";

export type RejectReason = "queue-full" | "concurrency-limit" | "time-out" | "cancelled";

const prefix = "apiserver_flowcontrol";
/** Upstream's. */
const waitBounds_s = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];

/** How many requests were let in and refused, by level and schema, and how long they waited for it. */
export class FlowCounts {
  readonly #dispatched = new CounterTable({
    name: `${prefix}_dispatched_requests_total`,
    help: "Requests that were let in.",
    labels: ["priority_level", "flow_schema"],
  });
  readonly #rejected = new CounterTable({
    name: `${prefix}_rejected_requests_total`,
    help: "Requests that were refused.",
    labels: ["priority_level", "flow_schema", "reason"],
  });
  readonly #waits = new HistogramTable(
    {
      name: `${prefix}_request_wait_duration_seconds`,
      help: "How long requests waited until they were let in or refused.",
      labels: ["priority_level", "flow_schema", "execute"],
    },
    waitBounds_s,
  );

  readonly #executions = new HistogramTable(
    {
      name: `${prefix}_request_execution_seconds`,
      help: "How long requests ran once they were let in; a watch until its first event could be sent.",
      labels: ["priority_level", "flow_schema", "type"],
    },
    waitBounds_s,
  );

  dispatched(level: string, schema: string): void {
    this.#dispatched.add([level, schema]);
  }

  rejected(level: string, schema: string, reason: RejectReason): void {
    this.#rejected.add([level, schema, reason]);
  }

  waited(level: string, schema: string, took_s: number, outcome: "executed" | "refused"): void {
    this.#waits.observe(took_s, [level, schema, String(outcome === "executed")]);
  }

  executed(level: string, schema: string, took_s: number, type: "regular" | "watch"): void {
    this.#executions.observe(took_s, [level, schema, type]);
  }

  families(): Family[] {
    return [this.#dispatched, this.#rejected, this.#waits, this.#executions].map((table) => table.family());
  }
}

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
