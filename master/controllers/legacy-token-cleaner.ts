import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { configMaps, pods, secrets, serviceAccounts } from "#shared/api/resources.ts";
import type { Pod, Secret, ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type ControllerDefinition, defineController, nothing, watching } from "#shared/client/controller.ts";
import { legacyTokens } from "../apiserver/authn/legacy-token-labels.ts";

const scope = { fieldSelector: "type=kubernetes.io/service-account-token" };
const day_ms = 24 * 3_600_000;
const dayOf = (time_ms: number): string => new Date(time_ms).toISOString().slice(0, 10);
const isDay = (text: string | undefined): text is string =>
  text !== undefined && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));

export type LegacyTokenFate = "stays" | "becomes invalid" | "goes";

/** What becomes of a Secret with a token that was made by itself for an account (pure). It first becomes invalid, and goes
 *  when nobody has missed it for as long again. */
export function fateOfLegacyToken(
  secret: Secret,
  account: ServiceAccount | undefined,
  podsOfNamespace: readonly Pod[],
  { now_ms, unusedFor_ms }: { readonly now_ms: number; readonly unusedFor_ms: number },
): LegacyTokenFate {
  const { name = "", labels = {}, creationTimestamp = "", deletionTimestamp, annotations } = secret.metadata;
  const limit_ms = now_ms - unusedFor_ms;
  if (deletionTimestamp || !(Date.parse(String(creationTimestamp)) < limit_ms)) return "stays";
  const lastUsed = labels[legacyTokens.lastUsedLabel];
  // A day that cannot be read says nothing of how long ago it was.
  if (lastUsed !== undefined && (!isDay(lastUsed) || lastUsed >= dayOf(limit_ms))) return "stays";
  const uid = annotations?.["kubernetes.io/service-account.uid"];
  if (!account || (uid && uid !== account.metadata.uid)) return "stays";
  // One that the account does not list was made by hand.
  if (!account.secrets?.some((reference) => reference.name === name)) return "stays";
  if (podsOfNamespace.some((pod) => mounts(pod, name))) return "stays";
  const invalidSince = labels[legacyTokens.invalidSinceLabel];
  if (!isDay(invalidSince)) return "becomes invalid";
  return invalidSince >= dayOf(limit_ms) ? "stays" : "goes";
}

function mounts({ spec }: Pod, secret: string): boolean {
  const containers = [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []),
    ...(spec?.ephemeralContainers ?? []),
  ];
  return (
    (spec?.imagePullSecrets?.some(({ name }) => name === secret) ?? false) ||
    (spec?.volumes?.some(
      ({ secret: own, projected }) =>
        own?.secretName === secret || projected?.sources?.some((source) => source.secret?.name === secret),
    ) ??
      false) ||
    containers.some(
      ({ env, envFrom }) =>
        env?.some(({ valueFrom }) => valueFrom?.secretKeyRef?.name === secret) ||
        envFrom?.some(({ secretRef }) => secretRef?.name === secret),
    )
  );
}

/** Removes tokens in Secrets that Kubernetes before 1.24 made for every account and that nobody has used for a year. */
export function legacyTokenCleaner(unusedFor_ms = 365 * day_ms): ControllerDefinition {
  return defineController({
    name: "legacy-serviceaccount-token-cleaner-controller",
    serviceAccount: "legacy-service-account-token-cleaner",
    watches: [
      watching(secrets, { scope, when: ({ type }) => type === "add" }),
      watching(serviceAccounts, { enqueue: nothing }),
      watching(pods, { enqueue: nothing }),
    ],
    resync_s: 24 * 3600,
    concurrency: 1,
    async reconcile(key, { lister, client, clock }) {
      const secret = lister(secrets, scope).get(key);
      if (!secret) return;
      const { namespace = "", name = "", annotations } = secret.metadata;
      const account = lister(serviceAccounts).get(
        `${namespace}/${annotations?.["kubernetes.io/service-account.name"] ?? ""}`,
      );
      // Nearly every Secret of the kind was made by hand: no question to the API for those.
      if (!account?.secrets?.some((reference) => reference.name === name)) return;
      const now_ms = clock.wall_ms();
      if (!(await isTrackedFor(unusedFor_ms, client, now_ms))) return;
      const fate = fateOfLegacyToken(secret, account, lister(pods).list(namespace), { now_ms, unusedFor_ms });
      switch (fate) {
        case "stays":
          return;
        case "becomes invalid":
          return markInvalid(secret, client, now_ms);
        case "goes":
          return remove(secret, client);
        default:
          fate satisfies never;
      }
    },
  });
}

/** Uses of tokens have been written down for so long that one without a use is unused. */
async function isTrackedFor(unusedFor_ms: number, client: Client, now_ms: number): Promise<boolean> {
  const tracking = await client.get(configMaps, legacyTokens.tracking);
  const since = tracking.data?.["since"];
  return isDay(since) && now_ms >= Date.parse(since) + day_ms + unusedFor_ms;
}

async function markInvalid({ metadata }: Secret, client: Client, now_ms: number): Promise<void> {
  const { namespace, name = "", uid } = metadata;
  const body = { metadata: { uid, labels: { [legacyTokens.invalidSinceLabel]: dayOf(now_ms) } } };
  await client.patch(secrets, { namespace, name }, { type: "merge", body });
}

/** One that was used or changed meanwhile stays. */
async function remove({ metadata }: Secret, client: Client): Promise<void> {
  const { namespace, name = "", resourceVersion } = metadata;
  try {
    await client.delete(secrets, { namespace, name }, { preconditions: { resourceVersion } });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
