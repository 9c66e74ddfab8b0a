/** One request of a client, passed on to an aggregated API server, and its answer passed back. */
import type { Readable } from "node:stream";
import { StatusError } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { refusalOf } from "#shared/api/refused-answer.ts";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { StreamResponse } from "#shared/http/http-over-stream.ts";
import { traceHeaderNames } from "#shared/tracing/trace-context.ts";
import { relayUpgrade } from "../connect/upgrade-relay.ts";
import { faultOfCaBundle } from "../extensions/ca-bundle.ts";
import { type HttpResponse, pour } from "../http/arrival.ts";
import type { Exchange } from "../registry/subresource-handler.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import { headerOf } from "./remote-answer.ts";
import {
  discoveryDeadline,
  endpointOf,
  passedHeaders,
  type RemoteEndpoint,
  type RemoteParts,
  upgradeHeaders,
} from "./remote-service.ts";

const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;

/** Answers of the aggregator's own are text, as upstream's are. */
function failed(reason: "ServiceUnavailable" | "InternalError", message: string): StatusError {
  return new StatusError(reason, message, { plainText: `${message}\n` });
}

export const unavailable = (): StatusError => failed("ServiceUnavailable", "service unavailable");

export async function passOn(
  parts: RemoteParts,
  service: APIService,
  context: RequestContext,
  exchange: Exchange | undefined,
): Promise<ApiResponse | "handled"> {
  const fault = faultOfCaBundle(service.spec.caBundle);
  if (fault) throw failed("InternalError", fault);
  const endpoint = resolved(parts, service);
  const path = pathOf(context, exchange);
  if (exchange?.kind === "upgrade") return upgraded(endpoint, path, context, exchange);
  const { method, user, body } = context;
  const signal = deadlineOf(parts, context);
  const ask = (headers: readonly string[], sent: Readable | Uint8Array | undefined): Promise<StreamResponse> =>
    endpoint.request(user, { method, path, headers, body: sent }, { signal }).catch((error: unknown) => {
      throw unreached(error, signal);
    });
  if (exchange) {
    const { request, response } = exchange;
    const sent = request.hasBody ? request.body : undefined;
    // The server behind goes on with the trace that the request has here.
    const traced = context.span?.headers;
    const headers = [
      ...passedHeaders(request, traced ? traceHeaderNames : []),
      ...forwarding(endpoint, path, context, exchange),
      ...Object.entries(traced ?? {}).flat(),
    ];
    const answer = await ask(headers, sent);
    if (isRedirect(answer)) refuseRedirect(answer, response);
    else passBack(answer, response);
    return "handled";
  }
  const given = await body.read();
  const text = given.kind === "object" ? Buffer.from(JSON.stringify(given.object)) : undefined;
  const headers = ["Accept", "application/json"];
  if (text) headers.push("Content-Type", context.headers["content-type"] ?? "application/json");
  return buffered(await ask(headers, text));
}

function resolved(parts: RemoteParts, service: APIService): RemoteEndpoint {
  try {
    return endpointOf(parts, service);
  } catch {
    // What is missing stands in the APIService's condition.
    throw unavailable();
  }
}

function unreached(error: unknown, signal: AbortSignal): unknown {
  const cause = signal.aborted ? (signal.reason as unknown) : error;
  const isLate = cause instanceof DOMException && cause.name === "TimeoutError";
  const why = isLate ? "context deadline exceeded" : messageOf(cause);
  return failed("ServiceUnavailable", `error trying to reach service: ${why}`);
}

/** As it was sent, its parameters in the order in which upstream passes them on. */
function pathOf({ info, query }: RequestContext, exchange: Exchange | undefined): string {
  const sorted = new URLSearchParams(query);
  sorted.sort();
  return `${exchange?.request.url?.split("?")[0] ?? info.path}${sorted.size > 0 ? `?${sorted}` : ""}`;
}

/** `/apis/group/version` */
function deadlineOf(parts: RemoteParts, { info, signal }: RequestContext): AbortSignal {
  const isDiscovery = !info.isResourceRequest && info.path.split("/").filter((part) => part !== "").length === 3;
  return isDiscovery ? AbortSignal.any([signal, discoveryDeadline(parts)]) : signal;
}

function forwarding(
  { host }: RemoteEndpoint,
  path: string,
  { remoteAddress }: RequestContext,
  { response }: RequestExchange,
): string[] {
  const auditId = response.getHeader("audit-id");
  return [
    ...(remoteAddress ? ["X-Forwarded-For", remoteAddress] : []),
    ...["X-Forwarded-Host", host, "X-Forwarded-Proto", "https", "X-Forwarded-Uri", path.split("?")[0] ?? ""],
    ...(typeof auditId === "string" ? ["Audit-Id", auditId] : []),
  ];
}

type RequestExchange = Extract<Exchange, { kind: "request" }>;

/** A server that sends clients elsewhere, as this one's clients, is not followed and not passed on. */
function refuseRedirect(answer: StreamResponse, response: HttpResponse): void {
  answer.body.destroy();
  response.setHeader("cache-control", "no-cache, private");
  response.writeHead(HTTP_BAD_GATEWAY, { "content-type": "text/plain; charset=utf-8" });
  response.end("the backend attempted to redirect this request, which is not permitted");
}

const HTTP_BAD_GATEWAY = 502;
const isRedirect = (answer: StreamResponse): boolean =>
  answer.status >= 300 && answer.status < 400 && headerOf(answer, "location") !== "";

function passBack(answer: StreamResponse, response: HttpResponse): void {
  for (let index = 0; index + 1 < answer.headers.length; index += 2) {
    response.appendHeader(answer.headers[index] ?? "", answer.headers[index + 1] ?? "");
  }
  if (!response.hasHeader("cache-control")) response.setHeader("cache-control", "no-cache, private");
  response.writeHead(answer.status);
  response.flushHeaders();
  pour(answer.body, response);
}

/** For clients in this process, which take whole answers. Throws what one that is no success says. */
async function buffered(answer: StreamResponse): Promise<ApiResponse> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += (chunk as Buffer).length;
    if (size > MAX_BUFFERED_BYTES) throw new Error("the answer of an aggregated API server is too long");
    chunks.push(chunk as Buffer);
  }
  const { status: code } = answer;
  const body = Buffer.concat(chunks).toString();
  const contentType = headerOf(answer, "content-type");
  if (code >= 400) throw refusalOf({ code, body, contentType });
  if (!contentType.includes("json")) return { kind: "bytes", code, contentType, body };
  const value = JSON.parse(body) as object;
  return { kind: "object", code, value: () => value, text: () => body };
}

async function upgraded(
  endpoint: RemoteEndpoint,
  path: string,
  { user, signal }: RequestContext,
  { socket, request, head }: Extract<Exchange, { kind: "upgrade" }>,
): Promise<"handled"> {
  const stream = await endpoint.connect("verified", signal).catch((error: unknown) => {
    throw failed("ServiceUnavailable", messageOf(error));
  });
  const headers = upgradeHeaders(endpoint.host, user, request);
  await relayUpgrade({ request, socket, head }, stream, path, headers).catch((error: unknown) => {
    throw failed("ServiceUnavailable", messageOf(error));
  });
  return "handled";
}
