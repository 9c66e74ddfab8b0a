import { secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { legacyTokens } from "./legacy-token-labels.ts";
import { TokenError } from "./token-authenticator.ts";

/** Writes down by the day when a token that lies in a Secret was used, and refuses one that is marked invalid (KEP-2799). */
export class SecretTokenUse {
  readonly #underWay = new Set<string>();

  constructor(private readonly client: () => Client) {}

  /** Throws TokenError for a token that the legacy cleaner has marked. */
  note(secret: Secret, account: string, now_ms: number): void {
    this.#write(secret, now_ms);
    const { namespace = "", name = "", labels } = secret.metadata;
    if (labels?.[legacyTokens.invalidSinceLabel]) {
      throw new TokenError(
        `the token in secret ${namespace}/${name} for service account ${namespace}/${account} has been marked invalid. ` +
          "Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the " +
          `'${legacyTokens.invalidSinceLabel}' label from the secret to temporarily allow use of this token`,
      );
    }
  }

  #write({ metadata }: Secret, now_ms: number): void {
    const { namespace = "", name = "", uid = "", labels } = metadata;
    const day = new Date(now_ms).toISOString().slice(0, 10);
    const write = `${uid} ${day}`;
    if (labels?.[legacyTokens.lastUsedLabel] === day || this.#underWay.has(write)) return;
    this.#underWay.add(write);
    const body = { metadata: { uid, labels: { [legacyTokens.lastUsedLabel]: day } } };
    // The request does not wait for it; one that fails is written at the next use.
    this.client()
      .patch(secrets, { namespace, name }, { type: "merge", body })
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(write));
  }
}
