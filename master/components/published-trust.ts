import { configMaps } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { ClientAuthorities } from "../apiserver/authn/client-authorities.ts";
import { IdentityHeaders } from "../apiserver/authn/identity-headers.ts";
import { extensionAuthenticationKey } from "../pki/extension-authentication.ts";

/** Whom a component believes about who asks it. */
export interface ClientTrust {
  readonly authorities: ClientAuthorities;
  /** Common names of proxies; none: any of their authority. */
  readonly proxyNames: readonly string[];
  readonly headers: IdentityHeaders;
}

export const nobodysTrust: ClientTrust = {
  authorities: new ClientAuthorities({ clients: "", frontProxies: "" }),
  proxyNames: [],
  headers: new IdentityHeaders(),
};

const noData: Readonly<Record<string, string>> = {};

/**
 * Whom the API server trusts, as it publishes that to its extensions (upstream's delegated authentication). A client of the
 * components has to be one of the API server's, or come by one of its proxies.
 * @param clientCa PEM, in place of who certifies the API server's clients. Without it, rejects when that cannot be read.
 */
export async function publishedTrust(client: Client, log: Log, clientCa?: string): Promise<ClientTrust> {
  const data = await client.get(configMaps, extensionAuthenticationKey).then(
    (published): Readonly<Record<string, string>> => published.data ?? {},
    (error: unknown) => {
      if (clientCa === undefined) throw error;
      log.warn("which proxies the API server trusts is not known: none is trusted", { error });
      return noData;
    },
  );
  const proxyNames = namesIn(data, "requestheader-allowed-names");
  return {
    authorities: new ClientAuthorities({
      clients: clientCa ?? data["client-ca-file"] ?? "",
      frontProxies: data["requestheader-client-ca-file"] ?? "",
    }),
    proxyNames,
    headers: new IdentityHeaders({
      username: namesIn(data, "requestheader-username-headers"),
      uid: namesIn(data, "requestheader-uid-headers"),
      group: namesIn(data, "requestheader-group-headers"),
      extraPrefix: namesIn(data, "requestheader-extra-headers-prefix"),
    }),
  };
}

function namesIn(data: Readonly<Record<string, string>>, field: string): readonly string[] {
  const text = data[field];
  if (text === undefined || text === "") return [];
  const names: unknown = JSON.parse(text);
  if (!Array.isArray(names) || !names.every((name): name is string => typeof name === "string"))
    throw new Error(`${field} is no list of names`);
  return names;
}
