import type { StatusError } from "#shared/api/errors.ts";
import { refusalOf } from "#shared/api/refused-answer.ts";
import { connectionFault } from "#shared/http/connection-fault.ts";
import { restDurations, restRequests } from "#shared/metrics/rest-client.ts";
import { trusting } from "#shared/pki/trusting.ts";
import { type Rate, TokenBucket } from "#shared/process/token-bucket.ts";
import { ConnectionError } from "./client.ts";
import { type Clock, pause, systemClock } from "./clock.ts";

/** How a client proves who it is and knows the server. PEM texts. */
export interface Credentials {
  /** Trusted alone when given; else the system's roots. */
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly token?: string | undefined;
  /** The name in the server's certificate, where it differs from the URL's. */
  readonly serverName?: string | undefined;
  readonly insecureSkipTlsVerify?: boolean | undefined;
}

export interface HttpTransportOptions {
  /** `https://host:port`, in order of preference. All must be API servers of one cluster. Read for each request. */
  readonly servers: readonly string[];
  /** Asked before each request, so that renewed certificates and tokens take hold; give the same object while unchanged. */
  readonly credentials: () => Credentials;
  readonly userAgent?: string | undefined;
  /** For a whole request but a watch. */
  readonly timeout_ms?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Of requests, but watches; as often as one likes unless given. */
  readonly rate?: Rate | undefined;
  /** Ends all that is asked, and whatever is asked later. */
  readonly signal?: AbortSignal | undefined;
  /** The server could not be reached, or its connection broke. `isAway` tells whether that is so of all. */
  readonly onUnreachable?: ((server: string) => void) | undefined;
  /** Nobody answered a moment ago: `isAway` until somebody does. */
  readonly startsAway?: boolean | undefined;
}

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly body?: object | undefined;
  readonly contentType?: string | undefined;
  readonly accept?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A watch has no deadline of its own. */
  readonly streams?: boolean | undefined;
}

/** Failures before a byte was sent: safe to repeat with any method. */
const notSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ConnectionRefused",
  "FailedToOpenSocket",
]);
/** So long may a server that is there take to say anything at all. */
const silence_ms = 2_000;
/** After so long without a word kept connections are no longer trusted: a request would get lost on each, one after the other. */
const distrust_ms = 8_000;
const attemptsWhenBusy = 10;
const longestRetryAfter_s = 30;

type TlsOptions = NonNullable<BunFetchRequestInit["tls"]>;

/**
 * Requests over HTTPS with keep-alive. When a server cannot be reached the next of the list is tried, and stays the one
 * that is asked: for any request that was not sent, and for reads also when the connection broke. A server that answers
 * 429 or 503 with Retry-After is asked again, at most ten times.
 */
export class HttpTransport {
  readonly #options: HttpTransportOptions;
  readonly #clock: Clock;
  readonly #turns: TokenBucket | undefined;
  readonly #tls = new WeakMap<Credentials, TlsOptions>();
  #server = 0;
  /** Requests that have had no answer yet, by when they began. */
  readonly #unanswered = new Set<{ readonly since_ms: number }>();
  #heard_ms: number;
  #isAway: boolean;

  constructor(options: HttpTransportOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#turns = options.rate && new TokenBucket(options.rate, () => this.#clock.now_ms());
    this.#isAway = options.startsAway ?? false;
    this.#heard_ms = this.#clock.now_ms();
  }

  /** No server could be reached at the last try, or none has answered anything for a while: who has an older answer may
   *  take that rather than wait. */
  get isAway(): boolean {
    return this.#isAway || this.#silent_ms > silence_ms;
  }

  /** How long requests have been waiting with nothing heard at all. */
  get #silent_ms(): number {
    const [oldest] = this.#unanswered;
    return oldest ? this.#clock.now_ms() - Math.max(oldest.since_ms, this.#heard_ms) : 0;
  }

  /** The server that is asked at present. */
  get server(): string {
    const { servers } = this.#options;
    return servers[this.#server % servers.length] ?? "";
  }

  /** A response with a code below 400. Rejects with StatusError for others, ConnectionError where there was none, and the
   *  signal's reason when it aborted. */
  async send(given: HttpRequest): Promise<Response> {
    const request = { ...given, signal: this.#signalOf(given) };
    const wait_ms = request.streams ? 0 : (this.#turns?.reserve_ms() ?? 0);
    if (wait_ms > 0) await pause(this.#clock, wait_ms, request.signal);
    request.signal?.throwIfAborted();
    for (let attempt = 1; ; attempt++) {
      const response = await this.#sendToSome(request);
      if (response.status < 400) return response;
      const retryAfter_s = Number(response.headers.get("retry-after") ?? Number.NaN);
      const busy = response.status === 429 || response.status === 503;
      if (!busy || Number.isNaN(retryAfter_s) || attempt >= attemptsWhenBusy) throw await statusError(response);
      await response.body?.cancel();
      await pause(this.#clock, Math.min(Math.max(retryAfter_s, 0.1), longestRetryAfter_s) * 1000, request.signal);
      request.signal?.throwIfAborted();
    }
  }

  #signalOf({ signal }: HttpRequest): AbortSignal | undefined {
    const all = this.#options.signal;
    return signal && all ? AbortSignal.any([signal, all]) : (signal ?? all);
  }

  async #sendToSome(request: HttpRequest): Promise<Response> {
    for (let tried = 1; ; tried++) {
      if (this.#options.servers.length === 0) {
        this.#isAway = true;
        this.#options.onUnreachable?.("");
        throw new ConnectionError("no API server is known");
      }
      const index = this.#server;
      const waiting = { since_ms: this.#clock.now_ms() };
      this.#unanswered.add(waiting);
      try {
        const response = await this.#sendOnce(request);
        this.#isAway = false;
        this.#heard_ms = this.#clock.now_ms();
        return response;
      } catch (error) {
        request.signal?.throwIfAborted();
        this.#isAway ||= tried >= this.#options.servers.length;
        const failure = connectionError(error, this.server);
        this.#options.onUnreachable?.(this.server);
        // Many requests fail together: move on only once.
        if (index === this.#server) this.#server = (index + 1) % this.#options.servers.length;
        const repeatable = request.method === "GET" || notSent.has(codeOf(error));
        // One more try than servers: a kept connection that the server has just closed fails at first use.
        const enough =
          tried > this.#options.servers.length || (notSent.has(codeOf(error)) && tried >= this.#options.servers.length);
        if (!repeatable || enough) throw failure;
      } finally {
        this.#unanswered.delete(waiting);
      }
    }
  }

  async #sendOnce(request: HttpRequest): Promise<Response> {
    const { method } = request;
    const host = new URL(this.server).host;
    const began_ms = performance.now();
    let code = "<error>";
    try {
      const response = await this.#fetched(request);
      code = String(response.status);
      return response;
    } finally {
      restRequests.add([code, host, method]);
      restDurations.observe((performance.now() - began_ms) / 1000, [method, host]);
    }
  }

  #fetched({ method, url, body, contentType, accept, signal, streams }: HttpRequest): Promise<Response> {
    const credentials = this.#options.credentials();
    const headers: Record<string, string> = {
      accept: accept ?? "application/json",
      "user-agent": this.#options.userAgent ?? "bramble",
    };
    if (body) headers["content-type"] = contentType ?? "application/json";
    if (credentials.token) headers["authorization"] = `Bearer ${credentials.token}`;
    const signals = [signal, streams ? undefined : AbortSignal.timeout(this.#options.timeout_ms ?? 60_000)];
    const present = signals.filter((one) => one !== undefined);
    return fetch(this.server + url, {
      method,
      headers,
      redirect: "error",
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(present.length > 0 ? { signal: AbortSignal.any(present) } : {}),
      // Bun's own limit of five minutes would cut quiet watches.
      timeout: false,
      keepalive: this.#silent_ms < distrust_ms,
      tls: this.#tlsFor(credentials),
    } as RequestInit);
  }

  /** One options object per credentials, since Bun keeps connections per options. */
  #tlsFor(credentials: Credentials): TlsOptions {
    const known = this.#tls.get(credentials);
    if (known) return known;
    const { ca, certificate, key, serverName, insecureSkipTlsVerify } = credentials;
    const options: TlsOptions = {
      ...(ca ? trusting(ca) : {}),
      ...(certificate ? { cert: certificate } : {}),
      ...(key ? { key } : {}),
      ...(serverName ? { serverName } : {}),
      rejectUnauthorized: !insecureSkipTlsVerify,
    };
    this.#tls.set(credentials, options);
    return options;
  }
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

/** What kept a request from being answered, told with the server. */
export function connectionError(error: unknown, server: string): ConnectionError {
  if (error instanceof ConnectionError) return error;
  const text = error instanceof Error ? connectionFault(error, URL.parse(server)?.host ?? server) : String(error);
  return new ConnectionError(`${server}: ${text}`, { cause: error });
}

async function statusError(response: Response): Promise<StatusError> {
  // What broke off has no body that says more.
  const body = await response.text().catch(() => "");
  const retryAfterSeconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const contentType = response.headers.get("content-type") ?? "";
  return refusalOf({ code: response.status, body, contentType, retryAfterSeconds });
}
