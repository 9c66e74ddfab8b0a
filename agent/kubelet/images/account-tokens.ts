import { createHash } from "node:crypto";
import { serviceAccounts } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { ServiceAccountTokens } from "../volumes/service-account-token.ts";

/** What a plugin is told of a pod's service account (KEP-4412). */
export interface TokenAttributes {
  readonly audience: string;
  /** Pods without an account are not for it. */
  readonly isRequired: boolean;
  /** Annotations of the account that it is told; without all of the first the pod is not for it. */
  readonly requiredAnnotations: readonly string[];
  readonly optionalAnnotations: readonly string[];
  /** For whom its answers hold: whoever shows that very token, or all pods of the account. */
  readonly cacheType: "Token" | "ServiceAccount";
}

export interface Account {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

/** A pod's account, as a plugin is told. */
export interface ToldAccount {
  readonly account: Account;
  readonly annotations: Readonly<Record<string, string>>;
  readonly token: string;
  /** Answers of the plugin are kept under it. */
  readonly cacheKey: string;
  /** Runs for the same of these may be one. */
  readonly runKey: string;
}

/** Service accounts of pods, and tokens by which plugins know them: each is bound to its pod. */
export class AccountTokens {
  readonly #tokens: ServiceAccountTokens;

  constructor(readonly client: Client) {
    // What is good for registries is of no use with the master away.
    this.#tokens = new ServiceAccountTokens(client, undefined);
  }

  /**
   * @returns what the plugin is told; "nothing" of a pod that has no account; undefined when the pod is not for the plugin.
   *  Rejects when the API does not tell.
   */
  async of(pod: Pod | undefined, attributes: TokenAttributes): Promise<ToldAccount | "nothing" | undefined> {
    const name = pod?.spec.serviceAccountName;
    if (!pod || !name) return attributes.isRequired ? undefined : "nothing";
    const { namespace = "" } = pod.metadata;
    const { metadata } = await this.client.get(serviceAccounts, { namespace, name });
    const annotations = chosen(metadata.annotations ?? {}, attributes);
    if (!annotations) return undefined;
    const token = await this.#tokens.token(pod, { audience: attributes.audience });
    if (token === undefined) throw new Error(`no token of the service account ${namespace}/${name} is to be had`);
    const account = { uid: metadata.uid ?? "", namespace, name };
    const digest = createHash("sha256").update(token).digest("hex");
    const ofAccount = [account, annotations];
    const key = attributes.cacheType === "Token" ? [...ofAccount, pod.metadata.uid, digest] : ofAccount;
    return {
      account,
      annotations,
      token,
      cacheKey: JSON.stringify(key),
      runKey: JSON.stringify([annotations, digest]),
    };
  }

  /** Drops what is remembered of a pod. */
  forget(podUid: string): void {
    this.#tokens.forget(podUid);
  }
}

/** Undefined where one is missing that must be there. */
function chosen(
  annotations: Readonly<Record<string, string>>,
  { requiredAnnotations, optionalAnnotations }: TokenAttributes,
): Record<string, string> | undefined {
  if (!requiredAnnotations.every((key) => Object.hasOwn(annotations, key))) return undefined;
  const keys = [...requiredAnnotations, ...optionalAnnotations].filter((key) => Object.hasOwn(annotations, key));
  return Object.fromEntries(keys.map((key) => [key, annotations[key] ?? ""]));
}
