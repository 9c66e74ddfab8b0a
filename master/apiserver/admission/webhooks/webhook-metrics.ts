/** How long webhooks take with a write, and what comes of asking them, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, HistogramTable } from "#shared/metrics/tables.ts";

const prefix = "apiserver_admission_webhook";

const durations = new HistogramTable(
  {
    name: `${prefix}_admission_duration_seconds`,
    help: "How long each webhook took.",
    labels: ["name", "type", "operation", "rejected"],
  },
  [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25],
);
const requests = new CounterTable({
  name: `${prefix}_request_total`,
  help: "Calls of webhooks, by the code that came of them.",
  labels: ["name", "type", "operation", "code", "rejected"],
});
const rejections = new CounterTable({
  name: `${prefix}_rejection_count`,
  help: "Writes that were refused because of a webhook.",
  labels: ["name", "type", "operation", "error_type", "rejection_code"],
});
const openings = new CounterTable({
  name: `${prefix}_fail_open_count`,
  help: "Calls that failed and did not keep the write from being made.",
  labels: ["name", "type"],
});

/** How a call has ended. Codes are those of HTTP, 0 where the API server itself is at fault. */
export type CallOutcome =
  | { readonly kind: "allowed" }
  | { readonly kind: "refused" | "failed" | "failed open" | "not made"; readonly code: number };

const errorTypes = {
  refused: "no_error",
  failed: "calling_webhook_error",
  "not made": "apiserver_internal_error",
} as const;

/** Whatever a webhook says: codes are labels. */
const HIGHEST_CODE = 600;

export type CallType = "admit" | "validating";

/** Begins to take the time of a call; what it gives is to be told how the call ended. */
export function webhookCall(name: string, type: CallType, operation: string): (outcome: CallOutcome) => void {
  const began_ms = performance.now();
  return (outcome) => {
    const isRejected = String(outcome.kind !== "allowed" && outcome.kind !== "failed open");
    const code = String(outcome.kind === "allowed" ? 200 : Math.min(outcome.code, HIGHEST_CODE));
    durations.observe((performance.now() - began_ms) / 1000, [name, type, operation, isRejected]);
    requests.add([name, type, operation, code, isRejected]);
    if (outcome.kind === "failed open") openings.add([name, type]);
    else if (outcome.kind !== "allowed") rejections.add([name, type, operation, errorTypes[outcome.kind], code]);
  };
}

export const webhookFamilies = (): Family[] => [durations, requests, rejections, openings].map((each) => each.family());
