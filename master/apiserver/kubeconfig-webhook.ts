/** Webhooks that a kubeconfig names: where its server is, and by what this API server signs in there. */

import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { genericWords } from "#shared/api/refused-answer.ts";
import { type ClientConfig, loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { ConfigError } from "#shared/config/option.ts";
import { cleanPath } from "#shared/http/clean-path.ts";
import { proxyFor } from "#shared/http/environment-proxy.ts";
import { type Hop, mostHops, redirected } from "#shared/http/redirects.ts";
import { trusting } from "#shared/pki/trusting.ts";

/** A status, or why there is none. */
export interface WebhookAnswer {
  readonly status?: number | undefined;
  readonly body: string;
  readonly why?: string | undefined;
  readonly timedOut?: boolean | undefined;
  /** The connection broke when it stood: the request may be made again. */
  readonly wasReset?: boolean | undefined;
}

export type RoundTrip = "success" | "timeout" | "error";

/** There is no review that could be used. */
export class ReviewError extends Error {
  override readonly name = "ReviewError";

  constructor(
    readonly result: Exclude<RoundTrip, "success">,
    message: string,
  ) {
    super(message);
  }
}

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 500;
const BACKOFF_FACTOR = 1.5;
/** Internal error, gateway timeout, too many requests (apiserver's util/webhook: DefaultShouldRetry). */
const worthAnother: readonly number[] = [429, 500, 504];
const MOST_OF_REFUSAL = 256;
/** More than any review. */
const MAX_ANSWER_BYTES = 10 * 1024 * 1024;

export class KubeconfigWebhook {
  readonly #config: ClientConfig;
  readonly #timeout_ms: number;

  /** Throws ConfigError, which names the setting, for a file that is no kubeconfig. */
  constructor(setting: string, file: string, timeout_ms: number) {
    this.#timeout_ms = timeout_ms;
    try {
      this.#config = loadKubeconfig(file);
    } catch (error) {
      throw new ConfigError(`${setting}: ${messageOf(error)}`);
    }
  }

  /** As upstream's client joins it: no slash at the end, no query of the file's but the time that the answer has. */
  get url(): string {
    const { ca, certificate, insecureSkipTlsVerify } = this.#config.credentials();
    const isSecured = Boolean(ca || certificate || insecureSkipTlsVerify);
    return webhookUrl(this.#config.servers[0] ?? "", isSecured, this.#timeout_ms);
  }

  /** POSTs JSON once. Never rejects: that nobody answers is an answer too. */
  async post(body: string): Promise<WebhookAnswer> {
    const { ca, certificate, key, token, serverName, insecureSkipTlsVerify } = this.#config.credentials();
    const tls = {
      ...(ca ? trusting(ca) : {}),
      ...(certificate && key ? { cert: certificate, key } : {}),
      ...(serverName ? { serverName } : {}),
      ...(insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
    };
    const signal = AbortSignal.timeout(this.#timeout_ms);
    const first = new URL(this.url);
    let hop: Hop<string> = { method: "POST", url: first, body };
    try {
      for (let hops = 1; ; hops++) {
        const headers = {
          accept: "application/json",
          ...(hop.body === undefined ? {} : { "content-type": "application/json" }),
          // What the file has to sign in with is for its own server.
          ...(token && hop.url.host === first.host ? { authorization: `Bearer ${token}` } : {}),
        };
        // By the engine's own reading this machine would be asked by a proxy as well.
        const proxy = proxyFor(hop.url)?.href ?? false;
        const init = { method: hop.method, body: hop.body, headers, tls, signal, redirect: "manual", proxy };
        const response = await fetch(hop.url, init as unknown as RequestInit);
        const next = redirected(hop, response.status, response.headers.get("location") ?? undefined);
        if (!next) return { status: response.status, body: await limitedText(response) };
        await response.body?.cancel();
        if (hops === mostHops) throw new Error(`stopped after ${mostHops} redirects`);
        hop = next;
      }
    } catch (error) {
      const said = messageOf(error);
      const cause = signal.aborted ? "context deadline exceeded" : said;
      const wasReset = !signal.aborted && (error as { code?: unknown }).code === "ECONNRESET";
      const why = `Post ${JSON.stringify(hop.url.href)}: ${cause}`;
      return { body: "", why, wasReset, timedOut: signal.aborted };
    }
  }

  /**
   * POSTs a review and gives its answer. What may pass is tried a few times. Throws ReviewError, worded for people.
   * @param firstPause_ms before it is tried again; later ones are longer.
   * @param onRoundTrip told of each
   */
  async review<R extends { readonly kind?: string }>(
    review: R,
    firstPause_ms: number = FIRST_PAUSE_MS,
    onRoundTrip?: (result: RoundTrip, took_s: number) => void,
  ): Promise<R> {
    const body = JSON.stringify(review);
    for (let attempt = 1, pause_ms = firstPause_ms; ; attempt += 1, pause_ms *= BACKOFF_FACTOR) {
      const started_ms = performance.now();
      const answer = await this.post(body);
      const read = readReview<R>(answer, review.kind ?? "");
      const result = read instanceof ReviewError ? read.result : "success";
      onRoundTrip?.(result, (performance.now() - started_ms) / 1000);
      if (!(read instanceof ReviewError)) return read;
      const isWorthAnother = answer.wasReset || worthAnother.includes(answer.status ?? 0);
      if (!isWorthAnother || attempt === ATTEMPTS) throw read;
      await Bun.sleep(pause_ms);
    }
  }
}

function readReview<R extends { readonly kind?: string }>(answer: WebhookAnswer, kind: string): R | ReviewError {
  const { status, timedOut } = answer;
  if (status === undefined || status < 200 || status >= 300)
    return new ReviewError(timedOut || status === 504 ? "timeout" : "error", answer.why ?? refusal(answer));
  try {
    return reviewIn<R>(answer.body, kind);
  } catch (error) {
    return new ReviewError("error", messageOf(error));
  }
}

/** @param server of a kubeconfig: a URL, or a host with or without a port; what says nothing of how is asked over TLS where
 *  the file has something to do with it (client-go's DefaultServerURL). */
export function webhookUrl(server: string, isSecured: boolean, timeout_ms: number): string {
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(server);
  const url = new URL(hasScheme ? server : `${isSecured ? "https" : "http"}://${server}`);
  url.pathname = cleanPath(url.pathname);
  url.hash = "";
  url.search = timeout_ms > 0 ? `?timeout=${formatGoDuration_ms(timeout_ms)}` : "";
  return url.href;
}

async function limitedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function reviewIn<R extends { readonly kind?: string }>(text: string, kind: string): R {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw new Error(`the webhook's answer is no JSON: ${(error as Error).message}`);
  }
  if (typeof answer !== "object" || answer === null || Array.isArray(answer))
    throw new Error("the webhook's answer is no object");
  const given = (answer as { kind?: unknown }).kind;
  if (given !== undefined && given !== kind) throw new Error(`the webhook answered a ${String(given)}, not a ${kind}`);
  return answer as R;
}

const refusal = ({ status = 0, body }: WebhookAnswer): string =>
  genericWords(status, body.slice(0, MOST_OF_REFUSAL).trim() || "unknown");
