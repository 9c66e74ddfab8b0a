import { serviceAccounts } from "#shared/api/resources.ts";
import type { TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import type { Pod, ServiceAccountTokenProjection } from "#shared/api/types/core-v1.generated.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import { podUid } from "../pod-containers.ts";

interface CachedToken {
  readonly token: string;
  readonly expiresAt_ms: number;
  readonly refreshAt_ms: number;
}

const defaultExpiration_s = 3600;
const retry_ms = 30_000;
const longestUse_ms = 24 * 3600 * 1000;

/** Tokens bound to pods, by TokenRequest; fetched anew when 80 % of their time is gone, at the latest after a day. */
export class ServiceAccountTokens {
  readonly #cache = new Map<string, CachedToken>();

  constructor(
    readonly client: Client,
    readonly now_ms: () => number = Date.now,
  ) {}

  /** An old token where no fresh one can be had. Undefined when the master is away and there is none at all. */
  async token(pod: Pod, projection: ServiceAccountTokenProjection): Promise<string | undefined> {
    const key = `${podUid(pod)}/${projection.audience ?? ""}/${projection.expirationSeconds ?? defaultExpiration_s}`;
    const cached = this.#cache.get(key);
    if (cached && this.now_ms() < cached.refreshAt_ms) return cached.token;
    try {
      const fresh = await this.#request(pod, projection);
      this.#cache.set(key, fresh);
      return fresh.token;
    } catch (error) {
      const isAway = error instanceof ConnectionError;
      if (cached && (isAway || this.now_ms() < cached.expiresAt_ms)) {
        // Not at once again: whoever waits for the time to refresh would wait no time at all.
        this.#cache.set(key, { ...cached, refreshAt_ms: this.now_ms() + retry_ms });
        return cached.token;
      }
      if (isAway) return undefined;
      throw new Error(`failed to fetch token: ${(error as Error).message}`, { cause: error });
    }
  }

  /** When a token of the pod wants refreshing next; undefined when it has none. */
  refreshAt_ms(podUid: string): number | undefined {
    const times = [...this.#cache]
      .filter(([key]) => key.startsWith(`${podUid}/`))
      .map(([, entry]) => entry.refreshAt_ms);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  forget(podUid: string): void {
    for (const key of this.#cache.keys()) if (key.startsWith(`${podUid}/`)) this.#cache.delete(key);
  }

  async #request(pod: Pod, projection: ServiceAccountTokenProjection): Promise<CachedToken> {
    const { name, namespace, uid } = pod.metadata;
    const expirationSeconds = projection.expirationSeconds ?? defaultExpiration_s;
    const request: TokenRequest = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: {},
      spec: {
        audiences: projection.audience ? [projection.audience] : [],
        expirationSeconds,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
      },
    };
    const key = { namespace, name: pod.spec.serviceAccountName || "default" };
    const { status } = await this.client.post(serviceAccounts, key, "token", request);
    if (!status) throw new Error("the TokenRequest was answered without a token");
    const expiresAt_ms = Date.parse(status.expirationTimestamp);
    const left_ms = expiresAt_ms - this.now_ms();
    return {
      token: status.token,
      expiresAt_ms,
      refreshAt_ms: this.now_ms() + Math.min(left_ms * 0.8, longestUse_ms),
    };
  }
}
