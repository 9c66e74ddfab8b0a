/** Webhooks that a kubeconfig names: where its server is, and by what this API server signs in there. */

import { type ClientConfig, loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { ConfigError } from "#shared/config/option.ts";
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
      throw new ConfigError(`${setting}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  get url(): string {
    return this.#config.servers[0] ?? "";
  }

  /** POSTs JSON once. Never rejects: that nobody answers is an answer too. */
  async post(body: string): Promise<WebhookAnswer> {
    const { ca, certificate, key, token, serverName, insecureSkipTlsVerify } = this.#config.credentials();
    const headers = {
      "content-type": "application/json",
      accept: "application/json",
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    };
    const tls = {
      ...(ca ? trusting(ca) : {}),
      ...(certificate && key ? { cert: certificate, key } : {}),
      ...(serverName ? { serverName } : {}),
      ...(insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
    };
    const signal = AbortSignal.timeout(this.#timeout_ms);
    try {
      const init = { method: "POST", body, headers, tls, signal, redirect: "error" };
      const response = await fetch(this.url, init as RequestInit);
      return { status: response.status, body: await limitedText(response) };
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      const cause = signal.aborted ? "context deadline exceeded" : said;
      const wasReset = !signal.aborted && (error as { code?: unknown }).code === "ECONNRESET";
      return { body: "", why: `Post ${JSON.stringify(this.url)}: ${cause}`, wasReset };
    }
  }

  /** POSTs a review and gives its answer. What may pass is tried a few times. Throws Error, worded for people. */
  async review<R extends { readonly kind?: string }>(review: R): Promise<R> {
    const body = JSON.stringify(review);
    for (let attempt = 1, pause_ms = FIRST_PAUSE_MS; ; attempt += 1, pause_ms *= BACKOFF_FACTOR) {
      const answer = await this.post(body);
      if (answer.status !== undefined && answer.status >= 200 && answer.status < 300)
        return reviewIn<R>(answer.body, review.kind ?? "");
      const isWorthAnother = answer.wasReset || worthAnother.includes(answer.status ?? 0);
      if (!isWorthAnother || attempt === ATTEMPTS) throw new Error(answer.why ?? refusal(answer));
      await new Promise((resolve) => setTimeout(resolve, pause_ms));
    }
  }
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

const refusal = ({ status, body }: WebhookAnswer): string =>
  `an error on the server (${JSON.stringify(body.slice(0, 256))}) has prevented the request from succeeding: status ${status}`;
