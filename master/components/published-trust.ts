import { configMaps } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { ClientAuthorities } from "../apiserver/authn/client-authorities.ts";
import { IdentityHeaders, standardIdentityHeaders } from "../apiserver/authn/identity-headers.ts";
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
  return trustOf(await publishedData(client, log, clientCa), clientCa);
}

/** What a component's own settings say of whom it believes, in place of what the API server says. */
export interface GivenTrust {
  readonly clientCa: string | undefined;
  readonly frontProxyCa: string | undefined;
  readonly requestheaderAllowedNames: readonly string[];
  readonly requestheaderUsernameHeaders: readonly string[];
  readonly requestheaderUidHeaders: readonly string[];
  readonly requestheaderGroupHeaders: readonly string[];
  readonly requestheaderExtraHeadersPrefix: readonly string[];
}

/** Whom a component believes by its settings, and for the rest as `published` has it. */
export function givenTrust(given: GivenTrust, published: ClientTrust): ClientTrust {
  if (given.frontProxyCa === undefined) return published;
  const standard = standardIdentityHeaders;
  const orStandard = (names: readonly string[], usual: readonly string[]) => (names.length > 0 ? names : usual);
  return {
    authorities: published.authorities.withFrontProxies(given.frontProxyCa),
    proxyNames: given.requestheaderAllowedNames,
    headers: new IdentityHeaders({
      username: orStandard(given.requestheaderUsernameHeaders, standard.username),
      uid: orStandard(given.requestheaderUidHeaders, standard.uid),
      group: orStandard(given.requestheaderGroupHeaders, standard.group),
      extraPrefix: orStandard(given.requestheaderExtraHeadersPrefix, standard.extraPrefix),
    }),
  };
}

/** Of a component that looks nobody up (--authentication-skip-lookup). */
export const ownTrust = (clientCa = ""): ClientTrust => trustOf({}, clientCa);

async function publishedData(client: Client, log: Log, clientCa: string | undefined) {
  return client.get(configMaps, extensionAuthenticationKey).then(
    (published): Readonly<Record<string, string>> => published.data ?? {},
    (error: unknown) => {
      if (clientCa === undefined) throw error;
      log.warn("which proxies the API server trusts is not known: none is trusted", { error });
      return noData;
    },
  );
}

function trustOf(data: Readonly<Record<string, string>>, clientCa: string | undefined): ClientTrust {
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
