/** Answers of the pages that Prometheus reads. */
import { prometheusContentType } from "#shared/metrics/exposition-format.ts";
import { startTimeHeader } from "#shared/metrics/process-families.ts";
import { metricsResetText, resetTables } from "#shared/metrics/tables.ts";
import type { ApiResponse } from "../request.ts";

/** @param accept the forms that the reader asks for */
export const metricsResponse = (accept: string | undefined, body: string): ApiResponse => ({
  kind: "bytes",
  code: 200,
  contentType: prometheusContentType(accept),
  headers: startTimeHeader,
  body,
});

/** Begins this process' metrics anew, and says so as upstream does. */
export function metricsReset(): ApiResponse {
  resetTables();
  return { kind: "bytes", code: 200, contentType: "text/plain; charset=utf-8", body: metricsResetText };
}
