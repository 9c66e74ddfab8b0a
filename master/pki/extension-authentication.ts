import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { joinCertificates } from "#shared/pki/certificate-bundle.ts";
import type { FrontProxyTrust } from "../apiserver/authn/front-proxy-trust.ts";
import { standardIdentityHeaders } from "../apiserver/authn/identity-headers.ts";
import { frontProxyUser } from "./master-certificates.ts";
import type { MasterPki } from "./master-pki.ts";

/** Where it is published. */
export const extensionAuthenticationKey = { namespace: "kube-system", name: "extension-apiserver-authentication" };
const key = extensionAuthenticationKey;
const attempts = 5;

/** What of a master's keys others are told. */
export interface PublishedKeys {
  readonly authorities: Pick<MasterPki["authorities"], "frontProxyTrusted">;
  readonly door: Pick<MasterPki["door"], "ca">;
}

/** What aggregated API servers need to know whom to trust: whom this one trusts, and this one itself, which asks them as
 *  `frontProxyUser` by the standard headers whatever proxies in front of it do. */
function extensionAuthentication(
  { authorities: { frontProxyTrusted }, door }: PublishedKeys,
  { authorities, allowedNames, headers }: FrontProxyTrust,
): Record<string, string> {
  const list = (given: readonly string[], own: readonly string[]): string =>
    JSON.stringify([...new Set([...given, ...own])]);
  const standard = standardIdentityHeaders;
  return {
    "client-ca-file": door.ca,
    "requestheader-client-ca-file": joinCertificates(authorities(), frontProxyTrusted),
    // None stands for any.
    "requestheader-allowed-names": list(allowedNames, allowedNames.length > 0 ? [frontProxyUser] : []),
    "requestheader-extra-headers-prefix": list(headers.extraPrefix, standard.extraPrefix),
    "requestheader-group-headers": list(headers.group, standard.group),
    "requestheader-username-headers": list(headers.username, standard.username),
    "requestheader-uid-headers": list(headers.uid, standard.uid),
  };
}

/** Writes it to kube-system/extension-apiserver-authentication, where they look for it. */
export async function publishExtensionAuthentication(
  client: Client,
  keys: PublishedKeys,
  frontProxies: FrontProxyTrust,
): Promise<void> {
  const data = extensionAuthentication(keys, frontProxies);
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await readConfigMap(client);
      if (!found)
        await client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: { ...key }, data }, key);
      else if (!Bun.deepEquals(found.data, data)) await client.update(configMaps, { ...found, data });
      return;
    } catch (error) {
      if (!(isConflict(error) || isAlreadyExists(error)) || attempt >= attempts) throw error;
    }
  }
}

async function readConfigMap(client: Client): Promise<ConfigMap | undefined> {
  try {
    return await client.get(configMaps, key);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
