import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { keyOf, splitKey } from "#shared/api/object.ts";
import { secrets, serviceAccounts } from "#shared/api/resources.ts";
import type { Secret, ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import type { ServiceAccountIssuer } from "../apiserver/authn/service-account-issuer.ts";
import { clusterKeys } from "../pki/cluster-keys.ts";

const scope = { fieldSelector: "type=kubernetes.io/service-account-token" };
const accountAnnotation = "kubernetes.io/service-account.name";
const uidAnnotation = "kubernetes.io/service-account.uid";

export interface ServiceAccountTokenOptions {
  /** PEM, as it is at the time. */
  readonly rootCa: () => string;
  /** Signs a token of the account that is good as long as the Secret exists. */
  issue(account: ServiceAccount, secret: Secret): Promise<string>;
}

const accountOf = ({ metadata }: Secret): string[] => {
  const name = metadata.annotations?.[accountAnnotation];
  return name ? [`${metadata.namespace}/${name}`] : [];
};
const encode = (text: string): string => Buffer.from(text).toString("base64");

/** Fills Secrets of type service-account-token, which people make for programs outside of the cluster, and deletes them
 *  when their account is gone. */
export function serviceAccountTokenController(options: ServiceAccountTokenOptions): ControllerDefinition {
  return defineController({
    name: "serviceaccount-token-controller",
    serviceAccount: "",
    watches: [
      watching(secrets, { scope, indexes: { account: accountOf } }),
      watching(serviceAccounts, {
        enqueue: (account, { lister }) => lister(secrets, scope).keysByIndex("account", keyOf(account)),
        when: ({ type }) => type !== "update",
      }),
      watching(secrets, {
        scope: clusterKeys,
        enqueue: (_, { lister }) => lister(secrets, scope).list().map(keyOf),
      }),
    ],
    async reconcile(key, { lister, client }) {
      const secret = lister(secrets, scope).get(key);
      const [accountKey] = secret ? accountOf(secret) : [];
      if (!secret || !accountKey || secret.metadata.deletionTimestamp) return;
      const wantedUid = secret.metadata.annotations?.[uidAnnotation];
      let account = lister(serviceAccounts).get(accountKey);
      if (!account || (wantedUid && account.metadata.uid !== wantedUid)) {
        // The Secret may have come before its account, which then has to be missing in the API too.
        account = await unlessGone(client.get(serviceAccounts, splitKey(accountKey)));
      }
      if (!account || (wantedUid && account.metadata.uid !== wantedUid)) return discard(client, secret);
      await fill(client, secret, account, options);
    },
  });
}

async function discard(client: Client, secret: Secret): Promise<void> {
  const { namespace, name = "", uid, resourceVersion } = secret.metadata;
  try {
    await client.delete(secrets, { namespace, name }, { preconditions: { uid, resourceVersion } });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}

async function fill(
  client: Client,
  secret: Secret,
  account: ServiceAccount,
  { rootCa, issue }: ServiceAccountTokenOptions,
): Promise<void> {
  const { metadata } = secret;
  const known = { "ca.crt": encode(rootCa()), namespace: encode(metadata.namespace ?? "") };
  const uid = account.metadata.uid ?? "";
  const { token } = secret.data ?? {};
  const isComplete = Object.entries(known).every(([field, value]) => secret.data?.[field] === value);
  if (token && isComplete && metadata.annotations?.[uidAnnotation] === uid) return;
  await client.update(secrets, {
    ...secret,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [uidAnnotation]: uid } },
    data: { ...secret.data, ...known, token: token || encode(await issue(account, secret)) },
  });
}

const years_s = 365 * 24 * 3600;

/** Tokens bound to their Secret: deleting that ends them, so they may last as long as the authority. */
export function secretTokens(issuer: ServiceAccountIssuer): ServiceAccountTokenOptions["issue"] {
  return async (account, secret) => {
    const issuedAt = Math.floor(Date.now() / 1000);
    const reference = ({ metadata: { name = "", uid = "" } }: ServiceAccount | Secret) => ({ name, uid });
    const { token } = await issuer.issue({
      audiences: [...issuer.apiAudiences],
      issuedAt,
      expiresAt: issuedAt + 20 * years_s,
      kubernetes: {
        namespace: account.metadata.namespace ?? "",
        serviceaccount: reference(account),
        secret: reference(secret),
      },
    });
    return token;
  };
}
