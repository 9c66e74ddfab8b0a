/** What became of asking authorization webhooks, under upstream's names. */
import { CounterTable, HistogramTable } from "#shared/metrics/tables.ts";

export const webhookEvaluations = new CounterTable({
  name: "apiserver_authorization_webhook_evaluations_total",
  help: "Round trips to authorization webhooks.",
  labels: ["name", "result"],
});

export const webhookDurations = new HistogramTable(
  {
    name: "apiserver_authorization_webhook_duration_seconds",
    help: "How long round trips to authorization webhooks took.",
    labels: ["name", "result"],
  },
  [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
);

export const webhookFailOpens = new CounterTable({
  name: "apiserver_authorization_webhook_evaluations_fail_open_total",
  help: "Requests that authorization webhooks had no opinion of since they did not answer as they should.",
  labels: ["name", "result"],
});

export const matchConditionExclusions = new CounterTable({
  name: "apiserver_authorization_match_condition_exclusions_total",
  help: "Requests of which an authorization webhook was not asked for its match conditions.",
  labels: ["type", "name"],
});

export const matchConditionErrors = new CounterTable({
  name: "apiserver_authorization_match_condition_evaluation_errors_total",
  help: "Requests for which match conditions of an authorization webhook could not be evaluated.",
  labels: ["type", "name"],
});

export const authorizationWebhookFamilies = () =>
  [webhookEvaluations, webhookDurations, webhookFailOpens, matchConditionExclusions, matchConditionErrors].map(
    (table) => table.family(),
  );
