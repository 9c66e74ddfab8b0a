import { badRequest, type FieldError, invalid } from "#shared/api/errors.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { isTrue } from "#shared/http/query-flag.ts";
import { int64Of } from "../query-values.ts";

const kind = { group: "", kind: "PodLogOptions" } as const;
const flags = ["follow", "previous", "timestamps"];
const numbers = { tailLines: 0, limitBytes: 1, sinceSeconds: 1 } as const;

/** What the kubelet is asked of a pod's log. Throws BadRequest for what is no value, Invalid for all that is wrong with values. */
export function logOptions(podName: string, query: URLSearchParams): [string, string][] {
  const set = flags.filter((name) => isTrue(query.get(name) ?? "false"));
  const values: [string, string][] = set.map((name) => [name, "true"]);
  const errors: FieldError[] = [];
  for (const [name, least] of Object.entries(numbers)) {
    const text = query.get(name);
    if (text === null) continue;
    const value = int64Of(text);
    values.push([name, String(value)]);
    // The one fault of the two is told below.
    if (name === "sinceSeconds" && query.has("sinceTime")) continue;
    const bound = least === 0 ? "greater than or equal to 0" : "greater than 0";
    if (value < least)
      errors.push({ field: name, reason: "FieldValueInvalid", message: `Invalid value: ${value}: must be ${bound}` });
  }
  const since = query.get("sinceTime");
  if (since !== null) {
    assertTime(since);
    values.push(["sinceTime", since]);
  }
  if (since !== null && query.has("sinceSeconds"))
    // Upstream names the options themselves, by an empty list of places.
    errors.push(forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  // Upstream's gate PodLogsQuerySplitStreams is closed.
  if (query.has("stream")) errors.push(forbidden("stream", "may not be specified"));
  if (errors.length > 0) throw invalid(kind, podName, errors);
  return values;
}

const forbidden = (field: string, why: string): FieldError => ({
  field,
  reason: "FieldValueForbidden",
  message: `Forbidden: ${why}`,
});

function assertTime(text: string): void {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text))) return;
  const layout = '"2006-01-02T15:04:05Z07:00"';
  throw badRequest(`parsing time ${goQuote(text)} as ${layout}: cannot parse ${goQuote(text)} as "2006"`);
}
