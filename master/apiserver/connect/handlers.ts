import type { Duplex, Readable } from "node:stream";
import { connect as connectTls } from "node:tls";
import { badRequest, StatusError, serviceUnavailable } from "#shared/api/errors.ts";
import type { Status } from "#shared/api/types/meta-v1.generated.ts";
import { connectionFault } from "#shared/http/connection-fault.ts";
import {
  AnswerMissing,
  forwardedHeaders,
  headerOf,
  requestOver,
  type StreamResponse,
  UnaskedSwitch,
  withoutCredentials,
} from "#shared/http/http-over-stream.ts";
import { isTrue } from "#shared/http/query-flag.ts";
import type { TunnelTarget } from "#shared/tunnel/tunnel.ts";
import { setWarnings } from "../http/answer.ts";
import { type HttpResponse, pour } from "../http/arrival.ts";
import { portsOf } from "../query-values.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { SubresourceCall, SubresourceHandler } from "../registry/subresource-handler.ts";
import type { ApiResponse, RequestContext, RequestInfo } from "../request.ts";
import type { Dialer } from "./board-dialer.ts";
import { logOptions } from "./log-options.ts";
import { type ProxiedPlace, proxiedLink, proxiedPage } from "./page-links.ts";
import {
  type ConnectTarget,
  containerOf,
  hostOf,
  nodeTarget,
  podNamed,
  podTarget,
  serviceProxyTarget,
} from "./target.ts";
import { relayUpgrade } from "./upgrade-relay.ts";

export interface ConnectOptions {
  readonly dialer: Dialer;
  readonly reader: ResourceReader;
}

/** Handlers of the core group's subresources that lead to boards and pods, by `plural/subresource`. */
export function connectHandlers(options: ConnectOptions): Readonly<Record<string, SubresourceHandler>> {
  const { dialer, reader } = options;
  const proxyTo = (locate: (call: SubresourceCall) => ConnectTarget): SubresourceHandler => ({
    handle: (call) => proxy(dialer, locate(call), call),
  });
  return {
    "pods/log": { handle: (call) => podLog(options, call) },
    "pods/exec": { handle: (call) => runCommand(options, call, "exec") },
    "pods/attach": { handle: (call) => runCommand(options, call, "attach") },
    "pods/portforward": { handle: (call) => portForward(options, call) },
    "pods/proxy": proxyTo((call) => podTarget(reader, call.namespace ?? "", call.name)),
    "services/proxy": proxyTo((call) => serviceProxyTarget(reader, call.namespace ?? "", call.name)),
    "nodes/proxy": proxyTo((call) => nodeTarget(reader, call.name)),
  };
}

const NO_CONTENT = 204;
const MAX_REFUSAL_BYTES = 50_000;
const kubelet = { kind: "kubelet" } as const;

/** A stream that ends when whoever it is for leaves, or has left. */
async function dialFor(
  signal: AbortSignal,
  dialer: Dialer,
  node: string,
  target: TunnelTarget = kubelet,
): Promise<Duplex> {
  const stream = await dialer.dial(node, target, signal);
  const end = (): void => void stream.destroy();
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  stream.once("close", () => signal.removeEventListener("abort", end));
  return stream;
}

async function podLog({ dialer, reader }: ConnectOptions, call: SubresourceCall): Promise<ApiResponse> {
  const { query, signal } = call.context;
  const passed = new URLSearchParams(logOptions(call.name, query));
  const pod = podNamed(reader, call.namespace ?? "", call.name);
  const container = containerOf(pod, query.get("container") ?? undefined);
  // Nothing has run yet, so nothing was said.
  if (!pod.spec?.nodeName) return { kind: "bytes", code: NO_CONTENT, contentType: "", body: "" };
  const node = hostOf(reader, pod);
  const path = `/containerLogs/${call.namespace}/${call.name}/${container}?${passed}`;
  const unverified = isTrue(query.get("insecureSkipTLSVerifyBackend") ?? "false");
  const stream = await dialFor(signal, dialer, node, { kind: "kubelet", unverified });
  const answer = await requestOver(stream, { method: "GET", path, headers: ["Host", node] });
  await throwIfRefused(answer);
  return { kind: "bytes", code: 200, contentType: "text/plain", body: answer.body };
}

async function runCommand(
  { dialer, reader }: ConnectOptions,
  call: SubresourceCall,
  action: "exec" | "attach",
): Promise<"handled"> {
  const { query } = call.context;
  const pod = podNamed(reader, call.namespace ?? "", call.name);
  const container = containerOf(pod, query.get("container") ?? undefined);
  const node = hostOf(reader, pod);
  if (action === "exec" && query.getAll("command").every((word) => word === ""))
    throw badRequest("you must specify at least one command for the container");
  const passed = new URLSearchParams();
  for (const [asked, parameter] of [
    ["stdin", "input"],
    ["stdout", "output"],
    ["stderr", "error"],
    ["tty", "tty"],
  ] as const) {
    if (isTrue(query.get(asked) ?? "false")) passed.set(parameter, "1");
  }
  for (const word of query.getAll("command")) passed.append("command", word);
  const stream = await dialFor(call.context.signal, dialer, node);
  return upgrade(call, stream, `/${action}/${call.namespace}/${call.name}/${container}?${passed}`);
}

async function portForward({ dialer, reader }: ConnectOptions, call: SubresourceCall): Promise<"handled"> {
  const ports = portsOf(call.context.query);
  const node = hostOf(reader, podNamed(reader, call.namespace ?? "", call.name));
  const passed = new URLSearchParams(ports.length > 0 ? { port: ports.join(",") } : {});
  const stream = await dialFor(call.context.signal, dialer, node);
  return upgrade(call, stream, `/portForward/${call.namespace}/${call.name}?${passed}`);
}

async function proxy(dialer: Dialer, where: ConnectTarget, call: SubresourceCall): Promise<ApiResponse | "handled"> {
  const { exchange, context } = call;
  const { method } = context;
  const root = proxyRoot(context.info);
  const subpath = context.info.rawPath.slice(root.length);
  const search = queryOf(call);
  // Relative links of the page need the slash.
  if (subpath === "" && exchange?.kind === "request" && (method === "GET" || method === "HEAD")) {
    exchange.response.writeHead(301, { Location: `${root}/${search}`, "Content-Length": "0", ...uncached });
    exchange.response.end();
    return "handled";
  }
  const path = `${subpath === "" ? "/" : subpath}${search}`;
  const stream = await secured(await dialFor(context.signal, dialer, where.node, where.target), where);
  if (exchange?.kind === "upgrade") return upgrade(call, stream, path);
  const headers = exchange
    ? [
        ...withForwardedFor(forwardedHeaders(exchange.request.rawHeaders), context),
        ...["X-Forwarded-Uri", `${root}${subpath === "" ? "/" : subpath}`],
      ]
    : ["Host", where.host];
  // Passed through as it arrives.
  const sent = exchange?.request.hasBody ? exchange.request.body : undefined;
  const answer = await requestOver(stream, { method, path, headers, body: sent }).catch((error: Error) => {
    throw error instanceof UnaskedSwitch ? new StatusError("InternalError", error.message) : unreached(error, where);
  });
  if (exchange) {
    const hosts = [where.host, exchange.request.headers.host ?? ""];
    setWarnings(exchange.response, context.warnings);
    passOn(answer, exchange.response, { root, hosts });
    return "handled";
  }
  return {
    kind: "bytes",
    code: answer.status,
    contentType: headerOf(answer.headers, "content-type") ?? "application/octet-stream",
    body: answer.body,
  };
}

async function upgrade({ exchange, context }: SubresourceCall, stream: Duplex, path: string): Promise<"handled"> {
  if (exchange?.kind !== "upgrade") {
    stream.destroy();
    throw badRequest("Upgrade request required");
  }
  const headers = withForwardedFor(withoutCredentials(exchange.request.rawHeaders), context);
  await relayUpgrade(exchange, stream, path, headers);
  return "handled";
}

/** Headers of a client for the server behind, which learns by whom the request came; the client keeps the host that it asked. */
function withForwardedFor(headers: readonly string[], { remoteAddress }: RequestContext): string[] {
  const others: string[] = [];
  const before: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const [name = "", value = ""] = headers.slice(index, index + 2);
    const lowerName = name.toLowerCase();
    if (lowerName === "x-forwarded-for") before.push(value);
    else if (lowerName !== "x-forwarded-uri") others.push(name, value);
  }
  const by = [...before, ...(remoteAddress ? [remoteAddress] : [])];
  return by.length > 0 ? [...others, "X-Forwarded-For", by.join(", ")] : others;
}

const unreached = (error: Error, { host }: ConnectTarget): StatusError =>
  serviceUnavailable(`error trying to reach service: ${connectionFault(error, host)}`);

/** A server that speaks another protocol may wait for the client, as the client does for it. */
const HANDSHAKE_WITHIN_MS = 10_000;

/** A pod's own certificate is not checked: nobody told the cluster what to expect, and the tunnel leads to that pod only. */
async function secured(stream: Duplex, where: ConnectTarget): Promise<Duplex> {
  if (where.scheme === "http") return stream;
  return new Promise((resolve, reject) => {
    const socket = connectTls({ socket: stream, rejectUnauthorized: false });
    const late = setTimeout(() => socket.destroy(new Error("TLS handshake timeout")), HANDSHAKE_WITHIN_MS);
    stream.once("close", () =>
      setImmediate(() => reject(unreached(new AnswerMissing("the connection closed"), where))),
    );
    socket.once("close", () => clearTimeout(late));
    socket.once("secureConnect", () => {
      clearTimeout(late);
      resolve(socket);
    });
    socket.once("error", (error) => {
      stream.destroy();
      reject(unreached(error, where));
    });
  });
}

/** As all answers of an API server are. */
const uncached = { "Cache-Control": "no-cache, private" };

/** Which pages of other origins may read the answer is the API server's to say: it lies at its origin. */
const ofOrigins = new Set(
  ["credentials", "headers", "methods", "origin"].map((what) => `access-control-allow-${what}`),
);

function passOn(answer: StreamResponse, response: HttpResponse, place: ProxiedPlace): void {
  const location = headerOf(answer.headers, "location");
  const [type = ""] = (headerOf(answer.headers, "content-type") ?? "").split(";");
  const isPage = location === undefined && type.trim() === "text/html";
  const page = isPage && proxiedPage(answer.body, headerOf(answer.headers, "content-encoding") ?? "", place);
  for (const [name, value] of Object.entries(uncached)) response.appendHeader(name, value);
  for (let index = 0; index < answer.headers.length; index += 2) {
    const [name = "", value = ""] = answer.headers.slice(index, index + 2);
    const lowerName = name.toLowerCase();
    if (ofOrigins.has(lowerName)) continue;
    // The page gets longer.
    if (page && lowerName === "content-length") continue;
    response.appendHeader(name, lowerName === "location" ? proxiedLink(value, place) : value);
  }
  const body = page || answer.body;
  response.writeHead(answer.status);
  response.flushHeaders();
  response.on("close", () => answer.body.destroy());
  pour(body, response);
}

/** As it was sent, with its question mark. */
function queryOf({ exchange, context }: SubresourceCall): string {
  const url = exchange?.request.url;
  if (url !== undefined) return url.includes("?") ? url.slice(url.indexOf("?")) : "";
  return context.query.size > 0 ? `?${context.query}` : "";
}

/** The path up to the subresource; what follows is the path on the server behind. */
function proxyRoot({ path, rawPath, rest }: RequestInfo): string {
  const segments = path.split("/").filter((part) => part !== "").length - rest.length;
  return new RegExp(`^(?:/+[^/]+){${segments}}`).exec(rawPath)?.[0] ?? rawPath;
}

/** The kubelet's own error, as it worded it. */
async function throwIfRefused(answer: StreamResponse): Promise<void> {
  if (answer.status < 400) return;
  const text = await readText(answer.body);
  let status: Status;
  try {
    status = JSON.parse(text) as Status;
  } catch (error) {
    throw asWorded(answer.status, text, error);
  }
  throw StatusError.fromStatus(status, answer.status);
}

/** As upstream's GenericHttpResponseChecker. */
function asWorded(code: number, text: string, cause: unknown): StatusError {
  if (code === 400) return new StatusError("BadRequest", text, { cause });
  if (code === 404) return new StatusError("NotFound", text, { cause });
  const message = text || `the kubelet answered ${code}`;
  return new StatusError("InternalError", message, { code, cause });
}

/** As much as a refusal may say, as upstream; leaving the loop ends the stream. */
async function readText(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size_bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    size_bytes += (chunk as Buffer).length;
    if (size_bytes >= MAX_REFUSAL_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_REFUSAL_BYTES).toString();
}
