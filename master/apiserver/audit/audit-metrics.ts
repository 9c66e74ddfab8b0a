/** What the audit recorded and lost, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";

export const auditedEvents = new CounterTable({
  name: "apiserver_audit_event_total",
  help: "Events that were given to be written or sent.",
  labels: [],
});
export const auditLevels = new CounterTable({
  name: "apiserver_audit_level_total",
  help: "Requests by how much the policy has recorded of them.",
  labels: ["level"],
});
/** Plugins are `log`, `webhook`, `buffered` for events that found no room, and `truncate` for those that were too large. */
export const auditErrors = new CounterTable({
  name: "apiserver_audit_error_total",
  help: "Events that are lost.",
  labels: ["plugin"],
});
export const rejectedRequests = new CounterTable({
  name: "apiserver_audit_requests_rejected_total",
  help: "Requests that were refused because they could not be recorded.",
  labels: [],
});

export const auditFamilies = (): Family[] =>
  [auditedEvents, auditLevels, auditErrors, rejectedRequests].map((table) => table.family());
