/**
 * Calls to webhooks: HTTPS to a URL, by way of a proxy where the environment names one, or to a Service through the tunnel of the
 * board that its endpoint is on.
 */

import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import tls, { connect as connectTls } from "node:tls";
import { services } from "#shared/api/resources.ts";
import { cleanPath } from "#shared/http/clean-path.ts";
import { connectionFault } from "#shared/http/connection-fault.ts";
import { type Environment, proxyFor } from "#shared/http/environment-proxy.ts";
import { AnswerMissing, headerOf, requestOver } from "#shared/http/http-over-stream.ts";
import { tunnelThrough } from "#shared/http/proxy-tunnel.ts";
import { type Hop, mostHops, redirected } from "#shared/http/redirects.ts";
import { trusting } from "#shared/pki/trusting.ts";
import { type Dialer, waysOf } from "../connect/board-dialer.ts";
import { serviceTarget } from "../connect/target.ts";
import type { ResourceReader } from "../registry/reader.ts";
import { AnswerFault, reviewIn, type WebhookAnswer } from "./webhook-answer.ts";
import type { WebhookLogin, WebhookLogins } from "./webhook-logins.ts";

/** A webhook's clientConfig, with a name for errors. */
export interface WebhookTarget {
  readonly name: string;
  readonly url?: string | undefined;
  readonly service?:
    | {
        readonly namespace?: string | undefined;
        readonly name?: string | undefined;
        readonly path?: string | undefined;
        readonly port?: number | undefined;
      }
    | undefined;
  /** PEM in base64; absent: the system's authorities. */
  readonly caBundle?: string | undefined;
}

export interface WebhookCall {
  readonly timeout_ms: number;
  /** How long the server is told that it may take, in the query; absent: it is not told. */
  readonly announced_ms?: number | undefined;
  /** Aborted when nobody wants to know any more. */
  readonly signal?: AbortSignal | undefined;
  /** Absent: it is asked by nobody in particular. */
  readonly logins?: WebhookLogins | undefined;
  /** Further ones that the webhook is told. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface WebhookCaller {
  /** POSTs JSON and gives the JSON answered. Throws Error, worded for people. */
  call(target: WebhookTarget, body: object, call: WebhookCall): Promise<unknown>;
}

/** More than any review: a webhook that answers without end is cut off. */
const MAX_ANSWER_BYTES = 10 * 1024 * 1024;

/** The time that a webhook was given is over, or nobody waits for it any more. */
class WebhookTimeout extends Error {
  override readonly name = "WebhookTimeout";
}

export class WebhookClient implements WebhookCaller {
  readonly #reader: ResourceReader;
  readonly #dialer: Dialer;
  readonly #environment: Environment;

  constructor(reader: ResourceReader, dialer: Dialer, environment: Environment = process.env) {
    this.#reader = reader;
    this.#dialer = dialer;
    this.#environment = environment;
  }

  async call(target: WebhookTarget, body: object, call: WebhookCall): Promise<unknown> {
    const url = urlOf(target, call);
    const first: Hop<Buffer> = { method: "POST", url, body: Buffer.from(JSON.stringify(body)) };
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new WebhookTimeout("context deadline exceeded")), call.timeout_ms);
    const cancel = (): void => abort.abort(new WebhookTimeout("context canceled"));
    call.signal?.addEventListener("abort", cancel, { once: true });
    if (call.signal?.aborted) cancel();
    /** The last one that was made. */
    let asked = first;
    const ask = (hop: Hop<Buffer>): Promise<Answer> => {
      asked = hop;
      // What there is to sign in with is for the webhook's own server.
      const login = isSameServer(url, hop.url) ? call.logins?.at(hostAndPort(url)) : undefined;
      return this.#ask({ ...target, login, headers: call.headers }, url, hop, abort.signal);
    };
    try {
      return reviewIn(await answerInTheEnd(() => followed(first, ask), abort.signal));
    } catch (error) {
      const cause: unknown = abort.signal.aborted ? abort.signal.reason : error;
      const why = cause instanceof Error ? connectionFault(cause, asked.url.host) : String(cause);
      const place = error instanceof TooManyRedirects ? error.location : shownUrl(target, url, asked.url);
      const message = error instanceof AnswerFault ? error.message : `Post ${JSON.stringify(place)}: ${why}`;
      throw abort.signal.aborted ? new WebhookTimeout(message) : new Error(message, { cause });
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", cancel);
    }
  }

  /** A Service is where its name leads; what a redirect names beside it is asked like any URL. */
  #ask(target: Asked, first: URL, hop: Hop<Buffer>, signal: AbortSignal): Promise<Answer> {
    if (!target.service || !isSameServer(first, hop.url)) return this.#callUrl(target, hop, signal);
    const external = this.#externalName(target.service);
    return external ? callUrl(target, hop, signal, external) : this.#callService(target, hop, signal);
  }

  /** A name that a Service stands for, which this machine resolves. */
  #externalName({ namespace = "", name = "" }: NonNullable<WebhookTarget["service"]>): string | undefined {
    const { spec } = this.#reader.get(services, { namespace, name }) ?? {};
    return spec?.type === "ExternalName" ? spec.externalName : undefined;
  }

  async #callUrl(target: Asked, hop: Hop<Buffer>, signal: AbortSignal): Promise<Answer> {
    const { url } = hop;
    const proxy = url.protocol === "https:" ? proxyFor(url, this.#environment) : undefined;
    if (!proxy) return callUrl(target, hop, signal);
    const stream = await untilAborted(signal, tunnelThrough(proxy, hostAndPort(url), signal));
    return askOver(stream, url.hostname.replace(/^\[|\]$/g, ""), target, hop, signal);
  }

  async #callService(target: Asked, hop: Hop<Buffer>, signal: AbortSignal): Promise<Answer> {
    const { namespace = "", name = "", port = 443 } = target.service ?? {};
    const where = serviceTarget(this.#reader, namespace, `https:${name}:${port}`, waysOf(this.#dialer));
    const raw = await this.#dialer.dial(where.node, where.target, signal);
    return askOver(raw, serviceHost(target) ?? "", target, hop, signal);
  }
}

/** Asks over a connection that is there, which is closed behind it. @param host that the certificate has to be of */
async function askOver(
  raw: Duplex,
  host: string,
  target: Asked,
  { method, url, body }: Hop<Buffer>,
  signal: AbortSignal,
): Promise<Answer> {
  const end = (): void => void raw.destroy();
  signal.addEventListener("abort", end);
  try {
    const stream = await untilAborted(signal, securedBy(raw, host, target));
    const headers = ["Host", url.host, "Accept", "application/json"];
    if (target.login?.authorization) headers.push("Authorization", target.login.authorization);
    if (body) headers.push("Content-Type", "application/json");
    for (const header of Object.entries(target.headers ?? {})) headers.push(...header);
    const request = { method, path: url.pathname + url.search, headers, ...(body ? { body } : {}) };
    const answer = await untilAborted(signal, requestOver(stream, request));
    const [location, type, retryAfter] = ["location", "content-type", "retry-after"].map((name) =>
      headerOf(answer.headers, name),
    );
    const { status } = answer;
    return { status, location, type, retryAfter, body: await readAll(answer.body, signal) };
  } finally {
    signal.removeEventListener("abort", end);
    raw.destroy();
  }
}

/** What is asked, and by what. */
interface Asked extends WebhookTarget {
  readonly login?: WebhookLogin | undefined;
  readonly headers?: WebhookCall["headers"];
}

interface Answer extends WebhookAnswer {
  readonly location?: string | undefined;
  readonly retryAfter?: string | undefined;
}

class TooManyRedirects extends Error {
  override readonly name = "TooManyRedirects";

  /** @param location where the last one leads, as it is written */
  constructor(readonly location: string) {
    super(`stopped after ${mostHops} redirects`);
  }
}

/** Where the redirects of an answer lead in the end. */
async function followed(first: Hop<Buffer>, ask: (hop: Hop<Buffer>) => Promise<Answer>): Promise<Answer> {
  let hop = first;
  for (let hops = 1; ; hops++) {
    const answer = await ask(hop);
    const next = redirected(hop, answer.status, answer.location);
    if (!next) return answer;
    if (hops === mostHops) throw new TooManyRedirects(answer.location ?? "");
    hop = next;
  }
}

const MOST_RETRIES = 10;
/** No call has as much time. */
const LONGEST_WAIT_S = 60;

/** A webhook that says when to come again is asked again then, as long as there is time (client-go's withRetry). */
async function answerInTheEnd(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  for (let retries = 0; ; retries++) {
    const answer = await ask();
    const again_s = secondsToWait(answer);
    if (again_s === undefined || retries === MOST_RETRIES) return answer;
    await delay(Math.min(Math.max(again_s, 0), LONGEST_WAIT_S) * 1000, undefined, { signal });
  }
}

function secondsToWait({ status, retryAfter = "" }: Answer): number | undefined {
  const mayPass = status === 429 || status >= 500;
  return mayPass && /^[+-]?\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
}

function urlOf(target: WebhookTarget, { announced_ms }: WebhookCall): URL {
  const { namespace = "", name = "", path = "", port = 443 } = target.service ?? {};
  const base = target.service ? `https://${name}.${namespace}.svc:${port}${path}` : (target.url ?? "");
  const url = new URL(base);
  url.pathname = cleanPath(url.pathname);
  if (announced_ms !== undefined) url.searchParams.set("timeout", `${Math.ceil(announced_ms / 1000)}s`);
  return url;
}

/** A Service's port is always said, also where it is the usual one. */
function shownUrl({ service }: WebhookTarget, first: URL, url: URL): string {
  return service && isSameServer(first, url)
    ? `https://${url.hostname}:${service.port ?? 443}${url.pathname}${url.search}`
    : url.href;
}

const isSameServer = (a: URL, b: URL): boolean => a.protocol === b.protocol && a.host === b.host;

const hostAndPort = ({ hostname, port, protocol }: URL): string =>
  `${hostname}:${port || (protocol === "http:" ? 80 : 443)}`;

const serviceHost = ({ service }: WebhookTarget): string | undefined =>
  service && `${service.name}.${service.namespace}.svc`;

function caOf({ caBundle }: WebhookTarget): string[] {
  const pem = caBundle === undefined ? "" : Buffer.from(caBundle, "base64").toString().trim();
  // By name alone they would all be made as this file is loaded, 0.4 MB.
  return pem === "" ? [...tls.rootCertificates] : [pem];
}

function securedBy(stream: Duplex, host: string, target: Asked): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const secured = { ...trusting(caOf(target)), ...target.login?.certificate };
    // No address is told to a server as the name that it is to show itself by.
    const named = isIP(host) ? { host } : { servername: host };
    const socket = connectTls({ socket: stream, ...named, ...secured, ALPNProtocols: ["http/1.1"] });
    socket.once("secureConnect", () => resolve(socket));
    socket.once("error", reject);
    stream.once("error", reject);
    // What TLS has against the other side is told after the connection is closed for it.
    stream.once("close", () => setImmediate(() => reject(new AnswerMissing("the connection closed"))));
  });
}

/** @param host to ask instead of the URL's */
function callUrl(
  target: Asked,
  { method, url, body }: Hop<Buffer>,
  signal: AbortSignal,
  host?: string,
): Promise<Answer> {
  // The engine tells nothing at all of a server that leaves HTTP unasked, its end neither.
  const answer = new Promise<Answer>((resolve, reject) => {
    const headers = {
      ...target.headers,
      host: url.host,
      accept: "application/json",
      ...(target.login?.authorization ? { authorization: target.login.authorization } : {}),
      ...(body ? { "content-type": "application/json", "content-length": String(body.length) } : {}),
    };
    const answered = (response: IncomingMessage): void => {
      const { statusCode: status = 0, headers } = response;
      const { location, "content-type": type, "retry-after": retryAfter } = headers;
      readAll(response, signal).then((text) => resolve({ status, location, type, retryAfter, body: text }), reject);
    };
    // A certificate is asked for the Service's name whoever shows it.
    const servername = serviceHost(target);
    const secured = {
      ...trusting(caOf(target)),
      ...target.login?.certificate,
      ...(servername ? { servername } : {}),
    };
    const place = new URL(url);
    if (host !== undefined) place.hostname = host;
    const request =
      url.protocol === "http:"
        ? httpRequest(place, { method, headers, signal }, answered)
        : httpsRequest(place, { method, headers, ...secured, signal }, answered);
    request.on("error", (error) => reject(new Error(connectionFault(error, place.host), { cause: error })));
    request.end(body);
  });
  return untilAborted(signal, answer);
}

/** Throws AnswerFault where the body does not come whole. */
async function readAll(body: Readable, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const read = async (): Promise<void> => {
    for await (const chunk of body) {
      const bytes = chunk as Buffer;
      size += bytes.length;
      if (size > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
      chunks.push(bytes);
    }
  };
  try {
    await untilAborted(signal, read());
  } catch (error) {
    if (size > MAX_ANSWER_BYTES) throw error;
    const why = signal.aborted ? (signal.reason as Error).message : "unexpected EOF";
    const fault = `unexpected error when reading response body. Please retry. Original error: ${why}`;
    throw new AnswerFault(fault, undefined, error);
  }
  return Buffer.concat(chunks).toString();
}

function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
