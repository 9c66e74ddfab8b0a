/** Events that are too large are recorded without what they were about (upstream's truncating backend). */
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import { reaches } from "./policy.ts";
import type { AuditEvent } from "./record.ts";

const annotation = "audit.k8s.io/truncated";

/** The event, without its bodies where it is larger than this as JSON; undefined where it is so without them too. */
export function truncated(event: AuditEvent, max_bytes: number): AuditEvent | undefined {
  if (sizeOf(event) <= max_bytes) return event;
  if (!reaches(event.level, "Request")) return undefined;
  const { annotations } = event.value;
  const value = {
    ...event.value,
    requestObject: undefined,
    responseObject: undefined,
    annotations: { ...(isJsonObject(annotations) ? annotations : {}), [annotation]: "true" },
  };
  const rest = { ...event, value };
  return sizeOf(rest) <= max_bytes ? rest : undefined;
}

/** With the end of its line, which upstream counts too. */
const sizeOf = ({ value }: AuditEvent): number => Buffer.byteLength(JSON.stringify(value)) + 1;
