import { createHmac } from "node:crypto";
import { configMaps, secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { expirationOf } from "./token-cleaner.ts";

const tokens = { namespace: "kube-system", fieldSelector: "type=bootstrap.kubernetes.io/token" };
const key = "kube-public/cluster-info";
const published = { namespace: "kube-public", fieldSelector: "metadata.name=cluster-info" };
const signaturePrefix = "jws-kubeconfig-";

/** The signature of a text by a token, as a JSON Web Signature with detached content (RFC 7515, appendix F). */
export function detachedSignature(content: string, tokenId: string, tokenSecret: string): string {
  const header = Buffer.from(JSON.stringify({ alg: "HS256", kid: tokenId })).toString("base64url");
  const payload = Buffer.from(content).toString("base64url");
  const signature = createHmac("sha256", tokenSecret).update(`${header}.${payload}`).digest("base64url");
  return `${header}..${signature}`;
}

const decoded = ({ data }: Secret, field: string): string =>
  Buffer.from(data?.[field] ?? "", "base64").toString("utf8");

/** Id and secret of each token that may sign at this time (pure). */
export function signingTokens(all: readonly Secret[], now_ms: number): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const secret of all) {
    const id = decoded(secret, "token-id");
    const text = decoded(secret, "token-secret");
    const isNamedAfterId = secret.metadata.name === `bootstrap-token-${id}`;
    const expired = (expirationOf(secret.data) ?? Number.POSITIVE_INFINITY) <= now_ms;
    const maySign = decoded(secret, "usage-bootstrap-signing") === "true";
    if (id && text && isNamedAfterId && maySign && !expired && !secret.metadata.deletionTimestamp) found.set(id, text);
  }
  return found;
}

/** The data of cluster-info with a signature by each token, and none by those that are gone (pure). */
export function signedData(
  data: Readonly<Record<string, string>>,
  signers: ReadonlyMap<string, string>,
): Record<string, string> {
  const kept = Object.entries(data).filter(([field]) => !field.startsWith(signaturePrefix));
  const { kubeconfig } = data;
  const signatures = kubeconfig
    ? [...signers].map(([id, secret]) => [`${signaturePrefix}${id}`, detachedSignature(kubeconfig, id, secret)])
    : [];
  return Object.fromEntries([...kept, ...signatures]);
}

/** Signs the ConfigMap `cluster-info` of kube-public, if there is one, so that a machine with a join token can tell that the
 *  cluster which it found is the token's. */
export const bootstrapSigner = defineController({
  name: "bootstrap-signer-controller",
  serviceAccount: "bootstrap-signer",
  watches: [watching(configMaps, { scope: published }), watching(secrets, { scope: tokens, enqueue: () => [key] })],
  concurrency: 1,
  async reconcile(_key, { lister, client, clock }) {
    const info = lister(configMaps, published).get(key);
    if (!info || info.metadata.deletionTimestamp) return;
    const data = info.data ?? {};
    const wanted = signedData(data, signingTokens(lister(secrets, tokens).list(), clock.wall_ms()));
    const names = new Set([...Object.keys(data), ...Object.keys(wanted)]);
    if ([...names].every((name) => data[name] === wanted[name])) return;
    await client.update(configMaps, { ...info, data: wanted });
  },
});
