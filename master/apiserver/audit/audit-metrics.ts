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
/** Plugins are `log` and `webhook`. */
export const auditErrors = new CounterTable({
  name: "apiserver_audit_error_total",
  help: "Events that are lost.",
  labels: ["plugin"],
});

export const auditFamilies = (): Family[] => [auditedEvents.family(), auditLevels.family(), auditErrors.family()];
