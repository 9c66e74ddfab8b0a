import { readFileSync } from "node:fs";
import tls from "node:tls";
import { RE2JS } from "re2js";
import { parse } from "yaml";
import type { ImageAuth } from "../runtime.ts";

/** What a registries file says; the form is k3s', so that files of such clusters can be taken over. */
export interface RegistriesConfig {
  /** By the registry's name in image names; `*` for all that are not named. */
  readonly mirrors: ReadonlyMap<string, RegistryMirror>;
  /** By host, with its port where it has one, of where requests go; `*` for all that are not named. */
  readonly hosts: ReadonlyMap<string, RegistryHost>;
}

export interface RegistryMirror {
  /** Tried in order, the registry itself last. */
  readonly endpoints: readonly URL[];
  /** Of the repository's path, at mirrors only; the first that matches counts. */
  readonly rewrites: readonly { readonly pattern: RE2JS; readonly replacement: string }[];
}

export interface RegistryHost {
  readonly auth?: ImageAuth | undefined;
  readonly tls?: RegistryTls | undefined;
}

/** PEM texts, as `fetch` of Bun takes them. */
export interface RegistryTls {
  /** Beside those that everybody trusts: layers are often elsewhere than the registry. */
  readonly ca?: readonly string[] | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly rejectUnauthorized: boolean;
}

/** What is wrong, with where it stands. */
class RegistriesError extends Error {
  override readonly name = "RegistriesError";
}

/** Reads a registries file's text, and the files with certificates that it names. Throws RegistriesError. */
export function parseRegistries(text: string): RegistriesConfig {
  let document: unknown;
  try {
    document = parse(text) ?? {};
  } catch (error) {
    throw new RegistriesError((error as Error).message, { cause: error });
  }
  const root = fields(document, "", ["mirrors", "configs"]);
  return {
    mirrors: entries(root["mirrors"], "mirrors", parseMirror),
    hosts: entries(root["configs"], "configs", parseHost),
  };
}

function parseMirror(value: unknown, at: string): RegistryMirror {
  const { endpoint = [], rewrite = {} } = fields(value, at, ["endpoint", "rewrite"]);
  if (!Array.isArray(endpoint)) throw expected(`${at}.endpoint`, "a list of URLs", endpoint);
  return {
    endpoints: endpoint.map((url) => parseEndpoint(url, `${at}.endpoint`)),
    rewrites: [...entries(rewrite, `${at}.rewrite`, parseRewrite).values()],
  };
}

/** `https://host[:port][/path]`; a bare host means HTTPS. The path is where the API begins, `/v2` if absent. */
function parseEndpoint(value: unknown, at: string): URL {
  const text = string(value, at);
  let url: URL;
  try {
    url = new URL(text.includes("://") ? text : `https://${text}`);
  } catch (error) {
    throw expected(at, "a URL", value, error);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") throw expected(at, "a URL of HTTPS or HTTP", value);
  url.pathname = url.pathname === "/" ? "/v2" : url.pathname.replace(/\/+$/, "");
  return url;
}

function parseRewrite(value: unknown, at: string, pattern: string): RegistryMirror["rewrites"][number] {
  const replacement = string(value, at);
  try {
    return { pattern: RE2JS.compile(pattern), replacement };
  } catch (error) {
    throw expected(at, "a regular expression", pattern, error);
  }
}

function parseHost(value: unknown, at: string): RegistryHost {
  const { auth, tls } = fields(value, at, ["auth", "tls"]);
  return {
    ...(auth === undefined ? {} : { auth: parseAuth(auth, `${at}.auth`) }),
    ...(tls === undefined ? {} : { tls: parseTls(tls, `${at}.tls`) }),
  };
}

function parseAuth(value: unknown, at: string): ImageAuth {
  const given = fields(value, at, ["username", "password", "auth", "identity_token"]);
  const text = (name: string) => (given[name] === undefined ? undefined : string(given[name], `${at}.${name}`));
  const [, username, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(text("auth") ?? "", "base64").toString()) ?? [];
  return {
    username: text("username") ?? username,
    password: text("password") ?? password,
    identityToken: text("identity_token"),
  };
}

function parseTls(value: unknown, at: string): RegistryTls {
  const given = fields(value, at, ["ca_file", "cert_file", "key_file", "insecure_skip_verify"]);
  const content = (name: string): string | undefined => {
    if (given[name] === undefined) return undefined;
    const path = string(given[name], `${at}.${name}`);
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new RegistriesError(`${at}.${name}: ${(error as Error).message}`, { cause: error });
    }
  };
  const unchecked = given["insecure_skip_verify"] ?? false;
  if (typeof unchecked !== "boolean") throw expected(`${at}.insecure_skip_verify`, "true or false", unchecked);
  const ca = content("ca_file");
  return {
    ca: ca === undefined ? undefined : [...tls.rootCertificates, ca],
    cert: content("cert_file"),
    key: content("key_file"),
    rejectUnauthorized: !unchecked,
  };
}

function entries<T>(
  value: unknown,
  at: string,
  parseOne: (value: unknown, at: string, key: string) => T,
): ReadonlyMap<string, T> {
  const given = fields(value ?? {}, at);
  return new Map(Object.entries(given).map(([key, each]) => [key, parseOne(each ?? {}, `${at}["${key}"]`, key)]));
}

function fields(value: unknown, at: string, known?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw expected(at, "a map", value);
  for (const key of Object.keys(value)) {
    if (known && !known.includes(key)) {
      throw new RegistriesError(`${at}: unknown field "${key}", expected one of ${known.join(", ")}`);
    }
  }
  return value as Record<string, unknown>;
}

function string(value: unknown, at: string): string {
  if (typeof value !== "string") throw expected(at, "text", value);
  return value;
}

function expected(at: string, what: string, value: unknown, cause?: unknown): RegistriesError {
  const where = at === "" ? "" : `${at}: `;
  return new RegistriesError(`${where}expected ${what}, got ${JSON.stringify(value)}`, { cause });
}
