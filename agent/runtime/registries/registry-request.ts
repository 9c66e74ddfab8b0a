import { isWeb } from "#shared/http/redirects.ts";
import type { ImageAuth } from "../runtime.ts";
import type { Endpoint } from "./endpoints.ts";

/** A registry that does not begin its answer within this is passed over. */
const headers_ms = 20_000;
const mostTokens = 64;
const longestToken_bytes = 1024 * 1024;

export interface RegistryAnswer {
  readonly response: Response;
  /** Ends the request when nobody wants the rest. */
  cancel(): void;
}

/**
 * Asks registries by the distribution specification, with the credentials that each wants: Basic, or a bearer token that
 * its realm gives (https://distribution.github.io/distribution/spec/auth/token/). Remembers tokens for as long as it lives,
 * which is one pull.
 */
export class RegistryRequests {
  readonly #tokens = new Map<string, string>();

  /** Rejects when the host cannot be reached or is too slow; what it refuses is an answer. */
  async ask(
    endpoint: Endpoint,
    suffix: string,
    method: "GET" | "HEAD",
    headers: Readonly<Record<string, string>>,
  ): Promise<RegistryAnswer> {
    const url = new URL(endpoint.url + suffix);
    if (endpoint.namespace !== undefined) url.searchParams.set("ns", endpoint.namespace);
    const key = endpoint.url;
    const token = this.#tokens.get(key);
    const send = (authorization: string | undefined): Promise<RegistryAnswer> =>
      request(url, endpoint, method, { ...headers, ...(authorization === undefined ? {} : { authorization }) });
    const answer = await send(token ?? initialAuthorization(endpoint.auth));
    if (answer.response.status !== 401) return answer;
    const authorization = await authorize(answer.response.headers.get("www-authenticate") ?? "", endpoint);
    if (authorization === undefined || authorization === token) return answer;
    answer.cancel();
    if (this.#tokens.size >= mostTokens) this.#tokens.clear();
    this.#tokens.set(key, authorization);
    return await send(authorization);
  }
}

const initialAuthorization = (auth: ImageAuth | undefined): string | undefined =>
  auth?.registryToken === undefined ? undefined : `Bearer ${auth.registryToken}`;

/** What to prove oneself with after a refusal; undefined: there is nothing to show. */
async function authorize(challenge: string, endpoint: Endpoint): Promise<string | undefined> {
  const { auth } = endpoint;
  if (/^basic\b/i.test(challenge)) return basic(auth);
  if (!/^bearer\b/i.test(challenge)) return undefined;
  const parameters = new Map(
    [...challenge.matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, name = "", value = ""]) => [name.toLowerCase(), value]),
  );
  const realm = parameters.get("realm");
  // Whoever serves an image says where its tokens are: not in a file of the board.
  if (realm === undefined || !URL.canParse(realm) || !isWeb(new URL(realm))) return undefined;
  const [service, scope] = [parameters.get("service") ?? "", parameters.get("scope") ?? ""];
  const answer = auth?.identityToken
    ? await refreshed(realm, { service, scope, refreshToken: auth.identityToken }, endpoint)
    : await tokenOf(realm, { service, scope }, endpoint);
  if (!answer.response.ok) {
    answer.cancel();
    return undefined;
  }
  const body: unknown = await jsonIn(answer);
  const { token, access_token } = (body ?? {}) as { token?: unknown; access_token?: unknown };
  const found = typeof token === "string" ? token : access_token;
  return typeof found === "string" ? `Bearer ${found}` : undefined;
}

/** Whoever serves an image may name any server for its tokens, one that answers without end, too. */
async function jsonIn({ response, cancel }: RegistryAnswer): Promise<unknown> {
  const late = setTimeout(cancel, headers_ms);
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of response.body ?? []) {
      length += part.length;
      if (length > longestToken_bytes) throw new Error(`${new URL(response.url).host}: too long for a token`);
      parts.push(part);
    }
  } finally {
    clearTimeout(late);
    cancel();
  }
  return JSON.parse(Buffer.concat(parts).toString());
}

function tokenOf(
  realm: string,
  { service, scope }: { readonly service: string; readonly scope: string },
  endpoint: Endpoint,
): Promise<RegistryAnswer> {
  const url = new URL(realm);
  if (service !== "") url.searchParams.set("service", service);
  for (const each of scope.split(" ")) if (each !== "") url.searchParams.append("scope", each);
  const authorization = basic(endpoint.auth);
  return request(url, endpoint, "GET", authorization === undefined ? {} : { authorization });
}

function refreshed(
  realm: string,
  given: { readonly service: string; readonly scope: string; readonly refreshToken: string },
  endpoint: Endpoint,
): Promise<RegistryAnswer> {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    service: given.service,
    scope: given.scope,
    client_id: "bramble",
    refresh_token: given.refreshToken,
  });
  return request(new URL(realm), endpoint, "POST", { "content-type": "application/x-www-form-urlencoded" }, `${form}`);
}

const basic = (auth: ImageAuth | undefined): string | undefined =>
  auth?.username === undefined
    ? undefined
    : `Basic ${Buffer.from(`${auth.username}:${auth.password ?? ""}`).toString("base64")}`;

async function request(
  url: URL,
  { tls }: Endpoint,
  method: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<RegistryAnswer> {
  const abort = new AbortController();
  const late = setTimeout(
    () => abort.abort(new Error(`${url.host}: no answer within ${headers_ms / 1000} s`)),
    headers_ms,
  );
  try {
    const response = await fetch(url, {
      method,
      headers: { "user-agent": "bramble", ...headers },
      ...(body === undefined ? {} : { body }),
      signal: abort.signal,
      // Layers come as they are: Docker checks their digests.
      decompress: false,
      ...(tls === undefined ? {} : { tls }),
    } as RequestInit);
    return { response, cancel: () => abort.abort() };
  } finally {
    clearTimeout(late);
  }
}
