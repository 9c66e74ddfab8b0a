/** What this process asked API servers over HTTPS, under client-go's names. */
import type { Family } from "./prometheus-text.ts";
import { CounterTable, HistogramTable } from "./tables.ts";

/** `code` is `<error>` where nothing was answered. */
export const restRequests = new CounterTable({
  name: "rest_client_requests_total",
  help: "Requests by answer, server and method.",
  labels: ["code", "host", "method"],
});

export const restDurations = new HistogramTable(
  {
    name: "rest_client_request_duration_seconds",
    help: "How long it took until an answer began.",
    labels: ["verb", "host"],
  },
  [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
);

export const restClientFamilies = (): Family[] => [restRequests.family(), restDurations.family()];
