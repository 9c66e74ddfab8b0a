import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Container, HTTPGetAction } from "#shared/api/types/core-v1.generated.ts";
import { errnoOf } from "#shared/files/if-present.ts";
import { hostPort } from "#shared/http/host-port.ts";
import { isWeb } from "#shared/http/redirects.ts";
import { resolvePort } from "./probe-port.ts";

export interface HttpTarget {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | string[]>>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

const mostBody_bytes = 10 * 1024;
const mostRedirects = 10;
const version = "1.35";

/** Where an httpGet action points, with the headers that Kubernetes sends along. */
export function httpGetTarget(action: HTTPGetAction, container: Container, podIP: string, purpose: string): HttpTarget {
  const scheme = (action.scheme ?? "HTTP").toLowerCase();
  const host = action.host || podIP;
  const port = resolvePort(action.port, container);
  const path = action.path ?? "";
  const base = `${scheme}://${hostPort(host, port)}`;
  const url = new URL(path.startsWith("/") || path === "" ? base + path : `${base}/${path}`);
  return { url, headers: headersOf(action, purpose) };
}

/** The client's own, whatever a pod says: what frames the request, which has no body. */
const framing: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding", "trailer"]);
/** Sent once, and not at all when a pod wants them empty. */
const single: ReadonlySet<string> = new Set(["host", "user-agent", "accept"]);

function headersOf({ httpHeaders = [] }: HTTPGetAction, purpose: string): Record<string, string | string[]> {
  const given = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (const { name, value } of httpHeaders) {
    const key = name.toLowerCase();
    if (framing.has(key)) continue;
    const present = given.get(key);
    if (present) present.values.push(value);
    else given.set(key, { name, values: [value] });
  }
  if (!given.has("user-agent")) given.set("user-agent", { name: "User-Agent", values: [`kube-${purpose}/${version}`] });
  if (!given.has("accept")) given.set("accept", { name: "Accept", values: ["*/*"] });
  const headers: Record<string, string | string[]> = {};
  for (const [key, { name, values }] of given) {
    const [first = ""] = values;
    if (!single.has(key)) headers[name] = values.length === 1 ? first : values;
    else if (first !== "") headers[name] = first;
  }
  return headers;
}

/**
 * GET without keep-alive, without verification of certificates and without a proxy, as a probe does it. Follows
 * redirects to the same host; gives the answer of one to elsewhere. Rejects when there is no answer in time.
 */
export async function httpGet(target: HttpTarget, timeout_ms: number): Promise<HttpAnswer> {
  const deadline_ms = performance.now() + timeout_ms;
  let { url } = target;
  for (let hop = 0; ; hop++) {
    const answer = await get({ url, headers: target.headers }, deadline_ms - performance.now());
    const { location } = answer.headers;
    if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer;
    const next = new URL(location, url);
    if (next.hostname !== target.url.hostname) return answer;
    if (!isWeb(next)) throw new Error(`Get "${next}": unsupported protocol scheme "${next.protocol.slice(0, -1)}"`);
    if (hop + 1 >= mostRedirects) throw new Error(`Get "${next}": stopped after 10 redirects`);
    url = next;
  }
}

function get({ url, headers }: HttpTarget, timeout_ms: number): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const request = url.protocol === "https:" ? httpsRequest : httpRequest;
  const fail = (message: string): void => reject(new Error(`Get "${url}": ${message}`));
  // Throws for what a pod may ask for and HTTP cannot say; nothing waits then that would find no request.
  const outgoing = request(
    url,
    { method: "GET", headers: { ...headers, Connection: "close" }, agent: false, rejectUnauthorized: false },
    (incoming) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const done = (): void => {
        clearTimeout(timer);
        const body = Buffer.concat(chunks).subarray(0, mostBody_bytes).toString("utf8");
        resolve({ status: incoming.statusCode ?? 0, body, headers: incoming.headers });
      };
      incoming.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length < mostBody_bytes) return;
        done();
        outgoing.destroy();
      });
      incoming.on("end", done);
      incoming.on("error", (error) => fail(error.message));
    },
  );
  const timer = setTimeout(
    () => {
      fail("context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
      outgoing.destroy();
    },
    Math.max(1, timeout_ms),
  );
  outgoing.on("error", (error) => {
    clearTimeout(timer);
    fail(describe(error, addressOf(url)));
  });
  outgoing.end();
  return promise;
}

const addressOf = ({ hostname, port, protocol }: URL): string =>
  `${hostname}:${port || (protocol === "https:" ? "443" : "80")}`;

/** How a failure ends whose server speaks plain HTTP where TLS was asked for. */
export const plainHttpAnswer = "http: server gave HTTP response to HTTPS client";

/** Connection failures in the words that Go has for them. @param address `host:port`, whatever a pod has for a host. */
export function describe(error: unknown, address: string): string {
  switch (errnoOf(error)) {
    case "ECONNREFUSED":
    case "ConnectionRefused":
      return `dial tcp ${address}: connect: connection refused`;
    case "EHOSTUNREACH":
      return `dial tcp ${address}: connect: no route to host`;
    case "ETIMEDOUT":
      return `dial tcp ${address}: i/o timeout`;
    case "ECONNRESET":
      // Ended in good order, without an answer.
      if ((error as Error).message === "socket hang up") return "EOF";
      return `read tcp ${address}: read: connection reset by peer`;
    case "HPE_INVALID_CONSTANT":
      return "net/http: HTTP/1.x transport connection broken: malformed HTTP response";
    // What came first was no TLS.
    case "ERR_SSL_WRONG_VERSION_NUMBER":
      return plainHttpAnswer;
    default:
      return (error as Error).message;
  }
}
