/** Webhooks that a kubeconfig names: where its server is, and by what this API server signs in there. */

import { formatGoDuration_ms } from "#shared/api/go-duration.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { genericWords } from "#shared/api/refused-answer.ts";
import { type ClientConfig, loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { ConfigError } from "#shared/config/option.ts";
import { cleanPath } from "#shared/http/clean-path.ts";
import { type Hop, mostHops, redirected } from "#shared/http/redirects.ts";
import { trusting } from "#shared/pki/trusting.ts";

/** A status, or why there is none. */
export interface WebhookAnswer {
  readonly status?: number | undefined;
  readonly body: string;
  readonly why?: string | undefined;
  /** The connection broke when it stood: the request may be made again. */
  readonly wasReset?: boolean | undefined;
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
        const init = { method: hop.method, body: hop.body, headers, tls, signal, redirect: "manual" };
        const response = await fetch(hop.url, init as RequestInit);
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
      return { body: "", why: `Post ${JSON.stringify(hop.url.href)}: ${cause}`, wasReset };
    }
  }

  /**
   * POSTs a review and gives its answer. What may pass is tried a few times. Throws Error, worded for people.
   * @param firstPause_ms before it is tried again; later ones are longer.
   */
  async review<R extends { readonly kind?: string }>(review: R, firstPause_ms: number = FIRST_PAUSE_MS): Promise<R> {
    const body = JSON.stringify(review);
    for (let attempt = 1, pause_ms = firstPause_ms; ; attempt += 1, pause_ms *= BACKOFF_FACTOR) {
      const answer = await this.post(body);
      if (answer.status !== undefined && answer.status >= 200 && answer.status < 300)
        return reviewIn<R>(answer.body, review.kind ?? "");
      const isWorthAnother = answer.wasReset || worthAnother.includes(answer.status ?? 0);
      if (!isWorthAnother || attempt === ATTEMPTS) throw new Error(answer.why ?? refusal(answer));
      await Bun.sleep(pause_ms);
    }
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
