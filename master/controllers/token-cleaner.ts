import { splitKey } from "#shared/api/object.ts";
import { secrets } from "#shared/api/resources.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";

const scope = { namespace: "kube-system", fieldSelector: "type=bootstrap.kubernetes.io/token" };

/** When a bootstrap token ends (milliseconds since 1970); undefined when it says nothing, 0 when what it says is no time. */
export function expirationOf(data: Readonly<Record<string, string>> | undefined): number | undefined {
  const encoded = data?.["expiration"];
  if (!encoded) return undefined;
  const time_ms = Date.parse(Buffer.from(encoded, "base64").toString("utf8"));
  return Number.isNaN(time_ms) ? 0 : time_ms;
}

/** Deletes join tokens that have expired. */
export const tokenCleaner = defineController({
  name: "token-cleaner-controller",
  serviceAccount: "token-cleaner",
  watches: [watching(secrets, { scope })],
  resync_s: 600,
  async reconcile(key, { lister, client, clock }) {
    const secret = lister(secrets, scope).get(key);
    const expiration_ms = expirationOf(secret?.data);
    if (!secret || expiration_ms === undefined) return undefined;
    const left_ms = expiration_ms - clock.wall_ms();
    if (left_ms > 0) return { requeueAfter_ms: left_ms };
    const { uid, resourceVersion } = secret.metadata;
    await unlessGone(client.delete(secrets, splitKey(key), { preconditions: { uid, resourceVersion } }));
    return undefined;
  },
});
