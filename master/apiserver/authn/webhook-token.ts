/** Tokens that a service elsewhere knows: it is sent a TokenReview (--authentication-token-webhook-config-file). */
import type { TokenReview } from "#shared/api/types/authentication-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { AnswerCache } from "../answer-cache.ts";
import { KubeconfigWebhook } from "../kubeconfig-webhook.ts";
import { type AuthenticatedToken, type TokenAuthenticator, TokenError } from "./token-authenticator.ts";

const TIMEOUT_MS = 10_000;
const MOST_TOKENS = 4096;

export interface WebhookTokensOptions {
  /** A kubeconfig. */
  readonly file: string;
  readonly version: "v1" | "v1beta1";
  readonly ttl_ms: number;
  /** What a token is for when nothing else is asked, and when the service says nothing of it. */
  readonly apiAudiences: readonly string[];
  readonly log: Log;
}

/** Undefined where the settings name none. */
export function webhookTokensOf(
  settings: Pick<
    MasterSettings,
    "authenticationTokenWebhookConfigFile" | "authenticationTokenWebhookVersion" | "authenticationTokenWebhookCacheTtl"
  >,
  apiAudiences: readonly string[],
  log: Log,
): WebhookTokens | undefined {
  const file = settings.authenticationTokenWebhookConfigFile;
  if (file === "") return undefined;
  const version = settings.authenticationTokenWebhookVersion;
  return new WebhookTokens({ file, version, ttl_ms: settings.authenticationTokenWebhookCacheTtl, apiAudiences, log });
}

export class WebhookTokens implements TokenAuthenticator {
  readonly #options: WebhookTokensOptions;
  readonly #webhook: KubeconfigWebhook;
  readonly #reviews = new AnswerCache<NonNullable<TokenReview["status"]>>(MOST_TOKENS);

  /** Throws ConfigError. */
  constructor(options: WebhookTokensOptions) {
    this.#options = options;
    this.#webhook = new KubeconfigWebhook("authentication-token-webhook-config-file", options.file, TIMEOUT_MS);
  }

  async authenticateToken(token: string, audiences?: readonly string[]): Promise<AuthenticatedToken | undefined> {
    const { apiAudiences, ttl_ms } = this.#options;
    const wanted = audiences ?? apiAudiences;
    const question = JSON.stringify([token, wanted]);
    const status = await this.#reviews.answer(
      question,
      () => this.#review(token, wanted),
      () => ttl_ms,
    );
    const { authenticated, error, user = {} } = status;
    const given = status.audiences?.length ? status.audiences : apiAudiences;
    const shared = wanted.filter((audience) => given.includes(audience));
    if (shared.length === 0) return undefined;
    if (!authenticated) {
      if (error) throw new TokenError(error);
      return undefined;
    }
    const { username = "", uid, groups = [], extra } = user;
    return {
      user: { name: username, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) },
      audiences: shared,
    };
  }

  async #review(token: string, audiences: readonly string[]): Promise<NonNullable<TokenReview["status"]>> {
    const review = {
      apiVersion: `authentication.k8s.io/${this.#options.version}`,
      kind: "TokenReview",
      metadata: {},
      spec: { token, audiences: [...audiences] },
    };
    try {
      return (await this.#webhook.review<{ kind?: string; status?: TokenReview["status"] }>(review)).status ?? {};
    } catch (error) {
      this.#options.log.error("the token webhook could not be asked", { error });
      throw new TokenError((error as Error).message, { cause: error });
    }
  }
}
