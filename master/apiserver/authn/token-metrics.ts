/** How tokens of service accounts are used, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";

export const validTokens = new CounterTable({
  name: "serviceaccount_valid_tokens_total",
  help: "Requests by tokens of service accounts that are in time.",
  labels: [],
});
/** Those whose pods were given a longer time than they asked for, and do not read the token again. */
export const staleTokens = new CounterTable({
  name: "serviceaccount_stale_tokens_total",
  help: "Requests by tokens that should have been read anew by now.",
  labels: [],
});

export const tokenFamilies = (): Family[] => [validTokens.family(), staleTokens.family()];
