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
  help: "Calls of webhooks; code 0 where there was no answer.",
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

export type CallOutcome = "allowed" | "failed" | "failed open" | { readonly refusedWith: number };

/** Begins to take the time of a call; what it gives is to be told how the call ended. */
export function webhookCall(
  name: string,
  type: "admit" | "validating",
  operation: string,
): (outcome: CallOutcome) => void {
  const began_ms = performance.now();
  return (outcome) => {
    const isRejected = String(outcome !== "allowed" && outcome !== "failed open");
    durations.observe((performance.now() - began_ms) / 1000, [name, type, operation, isRejected]);
    const code = outcome === "allowed" ? "200" : typeof outcome === "object" ? String(outcome.refusedWith) : "0";
    requests.add([name, type, operation, code, isRejected]);
    if (typeof outcome === "object") rejections.add([name, type, operation, "no_error", code]);
    else if (outcome === "failed") rejections.add([name, type, operation, "calling_webhook_error", "0"]);
    else if (outcome === "failed open") openings.add([name, type]);
  };
}

export const webhookFamilies = (): Family[] => [durations, requests, rejections, openings].map((each) => each.family());
