/** Which of Prometheus' formats a reader gets. Pure. */
import { mediaRanges } from "#shared/http/accept.ts";

const VERSION = "0.0.4";
/** How names that older readers do not know may be written; every name here is one that all know. */
const escapings: ReadonlySet<string> = new Set(["allow-utf-8", "underscores", "dots", "values"]);

/** The content type of metrics as text, with the escaping of names that the reader asks for (as client libraries for Go do). */
export function prometheusContentType(accept: string | undefined): string {
  let escaping = "underscores";
  for (const { type, subtype, parameters } of mediaRanges(accept ?? "")) {
    const asked = parameters.get("escaping") ?? "";
    if (escapings.has(asked)) escaping = asked;
    const version = parameters.get("version") ?? VERSION;
    if (type === "text" && subtype === "plain" && version === VERSION) break;
  }
  return `text/plain; version=${VERSION}; charset=utf-8; escaping=${escaping}`;
}
