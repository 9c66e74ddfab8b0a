import { serviceAccounts } from "#shared/api/resources.ts";
import { earliest } from "#shared/api/time.ts";
import type { TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import type { Pod, ServiceAccountTokenProjection } from "#shared/api/types/core-v1.generated.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import { type Clock, onWall_ms, systemClock } from "#shared/client/clock.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { podUid } from "../pod-containers.ts";

export interface BoundToken {
  readonly token: string;
  readonly expiresAt_ms: number;
}

interface CachedToken extends BoundToken {
  /** Monotonic: a clock that is put back by a year at its first sync must not keep a token for as long. */
  readonly refresh_ms: number;
}

export type TokenPurpose = Partial<ServiceAccountTokenProjection>;

/** Tokens of one pod by what they are for: audience and lifetime. */
type PodCache = Map<string, CachedToken>;

const defaultExpiration_s = 3600;
const retry_ms = 30_000;
const longestUse_ms = 24 * 3600 * 1000;
/** A token on the card is replaced when it has been past its time for so long: pods of a board that boots with the master
 *  away start with the last one known, and each replacement is a write. */
const staleAfter_ms = 24 * 3600 * 1000;

/** Tokens bound to pods, by TokenRequest; fetched anew when 80 % of their time is gone, at the latest after a day. The last
 *  known ones are kept, sealed, for a boot with the master away. */
export class ServiceAccountTokens {
  readonly #pods = new Map<string, PodCache>();
  /** When what is on the card wants replacing, by pod and purpose. */
  readonly #keptUntil_ms = new Map<string, number>();

  constructor(
    readonly client: Client,
    readonly checkpoint: Pick<Checkpoint, "read" | "save" | "remove"> | undefined,
    readonly clock: Pick<Clock, "now_ms" | "wall_ms"> = systemClock,
  ) {}

  /** An old token where no fresh one can be had. Undefined when the master is away and there is none at all. */
  async token(pod: Pod, projection: TokenPurpose): Promise<string | undefined> {
    return (await this.boundToken(pod, projection))?.token;
  }

  /** As `token`, with its end. */
  async boundToken(pod: Pod, projection: TokenPurpose): Promise<BoundToken | undefined> {
    const uid = podUid(pod);
    const purpose = `${projection.audience ?? ""}/${projection.expirationSeconds ?? defaultExpiration_s}`;
    const cache = await this.#cacheOf(uid);
    const cached = cache.get(purpose);
    if (cached && this.clock.now_ms() < cached.refresh_ms) return cached;
    if (cached && this.client.isAway) return this.#later(cache, purpose, cached);
    try {
      const fresh = await this.#request(pod, projection);
      cache.set(purpose, fresh);
      this.#keep(uid, purpose, cache);
      return fresh;
    } catch (error) {
      const isAway = error instanceof ConnectionError;
      if (cached && (isAway || this.clock.wall_ms() < cached.expiresAt_ms)) return this.#later(cache, purpose, cached);
      if (isAway) return undefined;
      throw new Error(`failed to fetch token: ${(error as Error).message}`, { cause: error });
    }
  }

  /** When, by the board's clock as it goes now, a token of the pod wants refreshing next; undefined when it has none. */
  refreshAt_ms(podUid: string): number | undefined {
    const next_ms = earliest([...(this.#pods.get(podUid)?.values() ?? [])].map(({ refresh_ms }) => refresh_ms));
    return next_ms === undefined ? undefined : onWall_ms(this.clock, next_ms);
  }

  forget(podUid: string): void {
    for (const purpose of this.#pods.get(podUid)?.keys() ?? []) this.#keptUntil_ms.delete(`${podUid}/${purpose}`);
    this.#pods.delete(podUid);
    void this.checkpoint?.remove("tokens", podUid);
  }

  /** Not at once again: whoever waits for the time to refresh would wait no time at all. */
  #later(cache: PodCache, purpose: string, cached: CachedToken): CachedToken {
    cache.set(purpose, { ...cached, refresh_ms: this.clock.now_ms() + retry_ms });
    return cached;
  }

  async #cacheOf(podUid: string): Promise<PodCache> {
    const known = this.#pods.get(podUid);
    if (known) return known;
    const kept = await this.checkpoint?.read("tokens", podUid);
    const present = this.#pods.get(podUid);
    if (present) return present;
    const cache: PodCache = new Map();
    for (const [purpose, { token, expiresAt_ms }] of Object.entries(kept?.tokens ?? {})) {
      // Refreshed as soon as somebody can be asked: nobody here knows how long the board was without power.
      cache.set(purpose, { token, expiresAt_ms, refresh_ms: this.clock.now_ms() });
      this.#keptUntil_ms.set(`${podUid}/${purpose}`, Math.max(expiresAt_ms, lastUseOf(token)) + staleAfter_ms);
    }
    this.#pods.set(podUid, cache);
    return cache;
  }

  #keep(uid: string, purpose: string, cache: PodCache): void {
    if ((this.#keptUntil_ms.get(`${uid}/${purpose}`) ?? 0) > this.clock.wall_ms()) return;
    const tokens: Record<string, { token: string; expiresAt_ms: number }> = {};
    for (const [each, { token, expiresAt_ms }] of cache) {
      tokens[each] = { token, expiresAt_ms };
      const end_ms = Math.max(expiresAt_ms, lastUseOf(token), this.clock.wall_ms());
      this.#keptUntil_ms.set(`${uid}/${each}`, end_ms + staleAfter_ms);
    }
    void this.checkpoint?.save("tokens", uid, { metadata: { uid }, tokens });
  }

  async #request(pod: Pod, projection: TokenPurpose): Promise<CachedToken> {
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
    const { spec, status } = await this.client.post(serviceAccounts, key, "token", request);
    if (!status) throw new Error("the TokenRequest was answered without a token");
    const expiresAt_ms = Date.parse(status.expirationTimestamp);
    // The server may have given less than was asked for.
    const life_ms = (spec?.expirationSeconds ?? expirationSeconds) * 1000;
    const left_ms = expiresAt_ms - this.clock.wall_ms();
    // By a clock that is hours ahead every token is over when it comes, by one that is behind none ends in time.
    const use_ms = left_ms > 0 && left_ms < life_ms ? left_ms : life_ms;
    const refreshIn_ms = Math.max(retry_ms, Math.min(use_ms * 0.8, longestUse_ms));
    return { token: status.token, expiresAt_ms, refresh_ms: this.clock.now_ms() + refreshIn_ms };
  }
}

/** The time until which API servers take a token: longer than they say, where they extend it. 0 when it does not tell. */
function lastUseOf(token: string): number {
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as { exp?: number };
    return (claims.exp ?? 0) * 1000;
  } catch {
    return 0;
  }
}
