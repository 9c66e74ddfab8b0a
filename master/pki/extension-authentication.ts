import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { ClusterAuthorities } from "./cluster-authorities.ts";
import { frontProxyUser } from "./master-certificates.ts";

const key = { namespace: "kube-system", name: "extension-apiserver-authentication" };
const attempts = 5;

/** What aggregated API servers need to know whom to trust. */
function extensionAuthentication({ trusted, frontProxyTrusted }: ClusterAuthorities): Record<string, string> {
  return {
    "client-ca-file": trusted,
    "requestheader-client-ca-file": frontProxyTrusted,
    "requestheader-allowed-names": JSON.stringify([frontProxyUser]),
    "requestheader-extra-headers-prefix": JSON.stringify(["X-Remote-Extra-"]),
    "requestheader-group-headers": JSON.stringify(["X-Remote-Group"]),
    "requestheader-username-headers": JSON.stringify(["X-Remote-User"]),
    "requestheader-uid-headers": JSON.stringify(["X-Remote-Uid"]),
  };
}

/** Writes it to kube-system/extension-apiserver-authentication, where they look for it. */
export async function publishExtensionAuthentication(client: Client, authorities: ClusterAuthorities): Promise<void> {
  const data = extensionAuthentication(authorities);
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
