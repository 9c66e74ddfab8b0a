/** Spans as OpenTelemetry's collectors take them: opentelemetry.proto.collector.trace.v1, as much of it as is sent. */
import {
  bytes,
  fixed64,
  integer,
  type MessageOf,
  message,
  nested,
  optional,
  repeated,
  string,
} from "../grpc/message.ts";

export const exportPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

const AnyValue = message({ stringValue: optional(1, "string"), intValue: optional(3, "integer") });
const KeyValue = message({ key: string(1), value: nested(2, AnyValue) });
const Event = message({ timeUnixNano: fixed64(1), name: string(2), attributes: repeated(3, KeyValue) });
const Link = message({ traceId: bytes(1), spanId: bytes(2), traceState: string(3) });
const Status = message({ message: string(2), code: integer(3) });
const SpanMessage = message({
  traceId: bytes(1),
  spanId: bytes(2),
  traceState: string(3),
  parentSpanId: bytes(4),
  name: string(5),
  kind: integer(6),
  startTimeUnixNano: fixed64(7),
  endTimeUnixNano: fixed64(8),
  attributes: repeated(9, KeyValue),
  events: repeated(11, Event),
  links: repeated(13, Link),
  status: nested(15, Status),
});
const Scope = message({ name: string(1) });
const ScopeSpans = message({ scope: nested(1, Scope), spans: repeated(2, SpanMessage) });
const Resource = message({ attributes: repeated(1, KeyValue) });
const ResourceSpans = message({ resource: nested(1, Resource), scopeSpans: repeated(2, ScopeSpans) });

/** ExportTraceServiceRequest. */
export const ExportRequest = message({ resourceSpans: repeated(1, ResourceSpans) });
/** Attributes with a value, in order. */
export type Attributes = readonly (readonly [key: string, value: string | number])[];

export const spanKinds = { internal: 1, server: 2 } as const;
export const ERROR = 2;

/** A span that has ended. */
export type Span = MessageOf<typeof SpanMessage> & {
  /** The library that makes such spans, upstream. */
  readonly scope: string;
};

export const keyValues = (attributes: Attributes): MessageOf<typeof KeyValue>[] =>
  attributes.map(([key, value]) => ({
    key,
    value: {
      stringValue: typeof value === "string" ? value : undefined,
      intValue: typeof value === "number" ? value : undefined,
    },
  }));

/** One message for spans of one process. */
export function encodeSpans(resource: Attributes, spans: readonly Span[]): Buffer {
  const byScope = Map.groupBy(spans, ({ scope }) => scope);
  const scopeSpans = [...byScope].map(([name, own]) => ({ scope: { name }, spans: own }));
  return ExportRequest.encode({ resourceSpans: [{ resource: { attributes: keyValues(resource) }, scopeSpans }] });
}
