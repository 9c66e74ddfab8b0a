/** Spans of requests, as upstream's API server makes them (endpoints/filters/traces.go, otelhttp, component-base/tracing). */
import { randomFillSync } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { type Attributes, ERROR, keyValues, type Span, spanKinds } from "#shared/tracing/otlp.ts";
import { isSampledByRatio, remoteContextOf, type TraceContext, traceHeaders } from "#shared/tracing/trace-context.ts";
import { scopeOf, verbOf } from "../discovery/request-series.ts";
import type { RequestInfo, User } from "../request.ts";

/** A request whose user is known. */
export interface TracedRequest {
  readonly method: string;
  /** Path and query, as the client wrote them. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly connection: Pick<TLSSocket, "remoteAddress" | "remotePort" | "alpnProtocol">;
  readonly info: RequestInfo;
  readonly user: User;
  readonly auditId: string;
  /** When it came, by the clock of `performance.now`. */
  readonly came_ms: number;
}

/** What a request came to. */
export interface Outcome {
  readonly code: number;
  readonly requestBody_bytes: number;
  readonly responseBody_bytes: number;
}

/** A request whose spans are recorded. */
export interface RequestSpan {
  /** It waits for its turn from now on, until `entered`. */
  waits(): void;
  entered(): void;
  /** A resource's own handler begins: the client may do what it asks for. */
  workBegins(): void;
  /** All of it is done, the answer written; nothing where none began. */
  workEnds(): void;
  end(outcome: Outcome): void;
  /** What servers are told that the request is passed on to. */
  readonly headers: Readonly<Record<string, string>>;
  /** Another server is asked for the request's sake, from now until the end of what this gives. */
  call(name: string, attributes: Attributes): CallSpan;
}

export interface CallSpan {
  /** What that server is told. */
  readonly headers: Readonly<Record<string, string>>;
  event(name: string): void;
  end(): void;
}

const privileged: ReadonlySet<string> = new Set(["system:masters", "system:monitoring"]);
const LONGEST_AUDIT_ID = 64;
const LONGEST_USER_AGENT = 1024;
const HTTPS_PORT = 443;
const serverScope = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp";
/** As upstream spells it. */
const filterScope = "k8s.op/apiserver/pkg/endpoints/filterlatency";
const workScope = "k8s.io/component-base/tracing";

export class RequestTracer {
  readonly #ratePerMillion: number;
  readonly #add: (span: Span) => void;

  /** @param ratePerMillion of requests that say nothing of it themselves. */
  constructor(ratePerMillion: number, add: (span: Span) => void) {
    this.#ratePerMillion = ratePerMillion;
    this.#add = add;
  }

  /** undefined: nothing of it is recorded. Only who is privileged says by their request whether it is; a trace of anybody else's
   *  begins here, and tells which one it came from. */
  begin(request: TracedRequest): RequestSpan | undefined {
    const { headers, user } = request;
    const remote = remoteContextOf(headers["traceparent"], headers["tracestate"]);
    const parent = user.groups.some((group) => privileged.has(group)) ? remote : undefined;
    const traceId = parent?.traceId ?? randomId(16);
    const isSampled = parent ? parent.isSampled : isSampledByRatio(traceId, this.#ratePerMillion);
    if (!isSampled) return undefined;
    const own: TraceContext = { traceId, spanId: randomId(8), isSampled, state: parent?.state ?? "" };
    const links = remote && !parent ? [remote] : [];
    return new RecordedRequest(request, own, parent, links, this.#add);
  }
}

const randomId = (length: number): Buffer => randomFillSync(Buffer.alloc(length));

class RecordedRequest implements RequestSpan {
  readonly #request: TracedRequest;
  readonly #own: TraceContext;
  readonly #parent: TraceContext | undefined;
  readonly #links: readonly TraceContext[];
  readonly #add: (span: Span) => void;
  /** What makes wall-clock time of the monotonic one, alike for all spans of the request. */
  readonly #origin_ms = Date.now() - performance.now();
  #waitBegan_ms = 0;
  #work: { readonly began_ms: number; readonly spanId: Buffer } | undefined;

  constructor(
    request: TracedRequest,
    own: TraceContext,
    parent: TraceContext | undefined,
    links: readonly TraceContext[],
    add: (span: Span) => void,
  ) {
    this.#request = request;
    this.#own = own;
    this.#parent = parent;
    this.#links = links;
    this.#add = add;
  }

  waits(): void {
    this.#waitBegan_ms = performance.now();
  }

  entered(): void {
    this.#addPart({ name: "priorityandfairness", scope: filterScope, began_ms: this.#waitBegan_ms }, []);
  }

  workBegins(): void {
    if (workName(this.#request.info) !== undefined) this.#work = { began_ms: performance.now(), spanId: randomId(8) };
  }

  workEnds(): void {
    const name = workName(this.#request.info);
    if (name === undefined || !this.#work) return;
    const { began_ms, spanId } = this.#work;
    this.#addPart({ name, scope: workScope, began_ms, spanId }, workAttributes(this.#request));
  }

  get headers(): Readonly<Record<string, string>> {
    return traceHeaders(this.#own);
  }

  call(name: string, attributes: Attributes): CallSpan {
    const spanId = randomId(8);
    const began_ms = performance.now();
    const parentSpanId = this.#work?.spanId ?? this.#own.spanId;
    const events: Span["events"][number][] = [];
    return {
      headers: traceHeaders({ ...this.#own, spanId }),
      event: (event) => void events.push({ timeUnixNano: this.#now(), name: event, attributes: [] }),
      end: () => this.#addPart({ name, scope: workScope, began_ms, spanId, parentSpanId, events }, attributes),
    };
  }

  end({ code, requestBody_bytes, responseBody_bytes }: Outcome): void {
    const sizes: Attributes = [
      ["http.request.body.size", requestBody_bytes],
      ["http.response.body.size", responseBody_bytes],
      ["http.response.status_code", code],
    ];
    const request = this.#request;
    this.#add({
      ...this.#spanOf(request.came_ms),
      scope: serverScope,
      spanId: this.#own.spanId,
      parentSpanId: this.#parent?.spanId ?? Buffer.alloc(0),
      name: serverSpanName(request),
      kind: spanKinds.server,
      attributes: keyValues([...requestAttributes(request), ...sizes.filter(([, size]) => size !== 0)]),
      events: [],
      links: this.#links.map(({ traceId, spanId, state }) => ({ traceId, spanId, traceState: state })),
      status: code >= 500 ? { message: "", code: ERROR } : undefined,
    });
  }

  #addPart({ name, scope, began_ms, spanId, parentSpanId, events = [] }: Part, attributes: Attributes): void {
    this.#add({
      ...this.#spanOf(began_ms),
      scope,
      spanId: spanId ?? randomId(8),
      parentSpanId: parentSpanId ?? this.#own.spanId,
      name,
      events,
      kind: spanKinds.internal,
      attributes: keyValues(attributes),
      links: [],
      status: undefined,
    });
  }

  #spanOf(began_ms: number) {
    const { traceId, state: traceState } = this.#own;
    return {
      traceId,
      traceState,
      startTimeUnixNano: nanoseconds(this.#origin_ms + began_ms),
      endTimeUnixNano: this.#now(),
    };
  }

  #now(): bigint {
    return nanoseconds(this.#origin_ms + performance.now());
  }
}

/** What is done for a request, of the request itself unless it has another parent. */
interface Part {
  readonly name: string;
  readonly scope: string;
  readonly began_ms: number;
  readonly spanId?: Buffer;
  readonly parentSpanId?: Buffer;
  readonly events?: Span["events"];
}

/** To the microsecond: a double has no more digits for the time of day. */
const nanoseconds = (unix_ms: number): bigint => BigInt(Math.round(unix_ms * 1000)) * 1000n;

function serverSpanName({ method, info }: TracedRequest): string {
  if (!info.isResourceRequest) return method;
  const { apiPrefix, group, version, namespace, resource, name, subresource } = info;
  const parts = [
    apiPrefix,
    group,
    version,
    namespace ? "namespaces/{:namespace}" : "",
    resource,
    name ? "{:name}" : "",
    subresource,
  ];
  return `${method} /${parts.filter(Boolean).join("/")}`;
}

/** By the semantic conventions of HTTP servers. */
function requestAttributes({ method, url, headers, connection, info, auditId }: TracedRequest): Attributes {
  const { remoteAddress: peer = "", remotePort = 0, alpnProtocol } = connection;
  const [, host = "", port = ""] = /^(.*?)(?::(\d+))?$/.exec(headers["host"] ?? "") ?? [];
  const forwarded = (headers["x-forwarded-for"] ?? "").split(",")[0];
  const attributes: Attributes = [
    ["server.address", host.replace(/^\[|\]$/g, "")],
    ["http.request.method", method],
    ["url.scheme", "https"],
    ["server.port", Number(port) === HTTPS_PORT ? 0 : Number(port)],
    ["network.peer.address", peer],
    ["network.peer.port", remotePort],
    ["user_agent.original", headers["user-agent"] ?? ""],
    ["client.address", forwarded || peer],
    ["url.path", info.path],
    ["network.protocol.version", alpnProtocol === "h2" ? "2.0" : "1.1"],
    ["http.target", url],
    ["audit-id", auditId.slice(0, LONGEST_AUDIT_ID)],
  ];
  return attributes.filter(([, value]) => value !== "" && value !== 0);
}

const workNames: Readonly<Record<string, string>> = {
  get: "Get",
  list: "List",
  create: "Create",
  update: "Update",
  patch: "Patch",
  delete: "Delete",
  deletecollection: "Delete",
};
const connections: ReadonlySet<string> = new Set(["exec", "attach", "portforward", "proxy"]);

/** What upstream's handler of a resource calls its span; those of watches and connections have none. */
const workName = ({ isResourceRequest, verb, subresource = "" }: RequestInfo): string | undefined =>
  isResourceRequest && !connections.has(subresource) ? workNames[verb] : undefined;

function workAttributes({ headers, connection, info, auditId }: TracedRequest): Attributes {
  const userAgent = headers["user-agent"] ?? "";
  const shown =
    userAgent.length > LONGEST_USER_AGENT ? `${userAgent.slice(0, LONGEST_USER_AGENT)}...TRUNCATED` : userAgent;
  return [
    ["accept", headers["accept"] ?? ""],
    ["audit-id", auditId.slice(0, LONGEST_AUDIT_ID)],
    ["client", (headers["x-forwarded-for"] ?? "").split(",")[0] || (connection.remoteAddress ?? "unknown")],
    ["api-group", info.group],
    ["api-version", info.version],
    ["name", info.name ?? ""],
    ["subresource", info.subresource ?? ""],
    ["namespace", info.namespace ?? ""],
    ["protocol", connection.alpnProtocol === "h2" ? "HTTP/2.0" : "HTTP/1.1"],
    ["resource", info.resource],
    ["scope", scopeOf(info)],
    ["url", info.path],
    ["user-agent", shown],
    ["verb", verbOf(info, headers["content-type"])],
  ];
}
