/** AuthenticationConfiguration (apiserver.config.k8s.io): issuers of tokens, and where anonymous requests are let in. */
import { X509Certificate } from "node:crypto";
import { parse } from "yaml";
import type { Log } from "#shared/client/log.ts";
import { FollowedFile } from "#shared/config/followed-file.ts";
import { authenticationReloads } from "#shared/metrics/configuration-reloads.ts";
import { splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { type Mapped, onlyFields, type Report, userMapper } from "./claim-mappings.ts";
import { type JwtIssuer, JwtTokens, knownAlgorithms } from "./jwt-tokens.ts";
import { type TokenAuthenticator, unionOfTokens } from "./token-authenticator.ts";

interface JwtEntry extends Mapped {
  readonly issuer?: {
    readonly url?: string;
    readonly discoveryURL?: string;
    /** PEM. */
    readonly certificateAuthority?: string;
    readonly audiences?: readonly string[];
    readonly audienceMatchPolicy?: string;
  };
}

interface Document {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly jwt?: readonly JwtEntry[];
  readonly anonymous?: { readonly enabled?: boolean; readonly conditions?: readonly { readonly path?: string }[] };
}

export interface AuthenticationConfiguration {
  readonly issuers: readonly JwtIssuer[];
  /** Whether who shows no credentials is the anonymous user at this path; undefined where the file does not say. */
  readonly allowsAnonymous: (path: string) => boolean | undefined;
}

const MOST_ISSUERS = 64;
const versions = ["v1", "v1beta1", "v1alpha1"].map((version) => `apiserver.config.k8s.io/${version}`);

/** @param ownIssuer of service accounts: nobody else may be it. Throws Error with all faults. */
export function parseAuthenticationConfiguration(text: string, ownIssuer: string): AuthenticationConfiguration {
  const document = (parse(text) ?? {}) as Document;
  const { apiVersion, kind, jwt = [], anonymous } = document;
  if (kind !== "AuthenticationConfiguration" || !versions.includes(String(apiVersion)))
    throw new Error(
      `expected an AuthenticationConfiguration of ${versions[0]}, got ${String(kind)} of ${String(apiVersion)}`,
    );
  const faults: string[] = [];
  const report: Report = (field, problem) => faults.push(`${field}: ${problem}`);
  onlyFields(document, ["apiVersion", "kind", "jwt", "anonymous"], "", report);
  onlyFields(anonymous ?? {}, ["enabled", "conditions"], "anonymous", report);
  for (const [index, condition] of (anonymous?.conditions ?? []).entries())
    onlyFields(condition, ["path"], `anonymous.conditions[${index}]`, report);
  if (jwt.length > MOST_ISSUERS) report("jwt", `must have at most ${MOST_ISSUERS} items`);
  const taken = new Set([ownIssuer]);
  const issuers = jwt.map((entry, index) => issuerOf(entry, `jwt[${index}]`, taken, report));
  const conditions = anonymous?.conditions ?? [];
  if (!anonymous?.enabled && conditions.length > 0)
    report("anonymous.conditions", "enabled should be set to true when conditions are defined");
  if (faults.length > 0) throw new Error(faults.join("; "));
  const paths = new Set(conditions.map(({ path }) => path));
  const isAllowedAt = (path: string) => anonymous?.enabled === true && (paths.size === 0 || paths.has(path));
  return { issuers, allowsAnonymous: (path) => (anonymous === undefined ? undefined : isAllowedAt(path)) };
}

const entryFields = ["issuer", "claimMappings", "claimValidationRules", "userValidationRules"];
const issuerFields = ["url", "discoveryURL", "certificateAuthority", "audiences", "audienceMatchPolicy"];

function issuerOf(entry: JwtEntry, field: string, taken: Set<string>, report: Report): JwtIssuer {
  onlyFields(entry, entryFields, field, report);
  onlyFields(entry.issuer ?? {}, issuerFields, `${field}.issuer`, report);
  const { url = "", discoveryURL, certificateAuthority, audiences = [], audienceMatchPolicy = "" } = entry.issuer ?? {};
  checkUrl(url, `${field}.issuer.url`, report);
  if (taken.has(url)) report(`${field}.issuer.url`, `Duplicate value: ${JSON.stringify(url)}`);
  taken.add(url);
  if (discoveryURL) checkUrl(discoveryURL, `${field}.issuer.discoveryURL`, report);
  if (discoveryURL && discoveryURL.replace(/\/+$/, "") === url.replace(/\/+$/, ""))
    report(`${field}.issuer.discoveryURL`, "discoveryURL must be different from URL");
  if (certificateAuthority && !areCertificates(certificateAuthority))
    report(`${field}.issuer.certificateAuthority`, "data does not contain any valid RSA or ECDSA certificates");
  checkAudiences(audiences, audienceMatchPolicy, field, report);
  return {
    issuerUrl: url,
    discoveryUrl: discoveryURL || undefined,
    audiences,
    signingAlgorithms: knownAlgorithms,
    ca: certificateAuthority || undefined,
    userOf: userMapper(entry, field, report),
  };
}

function checkAudiences(audiences: readonly string[], policy: string, field: string, report: Report): void {
  if (audiences.length === 0)
    report(`${field}.issuer.audiences`, "Required value: at least one issuer.audiences is required");
  if (audiences.some((audience) => typeof audience !== "string" || audience === ""))
    report(`${field}.issuer.audiences`, "audience can't be empty");
  if (audiences.length > 1 && policy !== "MatchAny")
    report(`${field}.issuer.audienceMatchPolicy`, "audienceMatchPolicy must be MatchAny for multiple audiences");
  if (!["", "MatchAny"].includes(policy))
    report(`${field}.issuer.audienceMatchPolicy`, "audienceMatchPolicy must be empty or MatchAny for single audience");
}

/** What a URL has beside its path would not be asked for, or be told to whom nobody meant. */
function checkUrl(text: string, field: string, report: Report): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:") {
    report(field, `${JSON.stringify(text)}: URL scheme must be https`);
    return;
  }
  const { username, password, search, hash } = url;
  if (username !== "" || password !== "") report(field, "URL must not contain a username or password");
  if (search !== "") report(field, "URL must not contain a query");
  if (hash !== "") report(field, "URL must not contain a fragment");
}

function areCertificates(pem: string): boolean {
  try {
    const certificates = splitCertificates(pem);
    for (const each of certificates) new X509Certificate(each);
    return certificates.length > 0;
  } catch {
    return false;
  }
}

/** Goes by a configuration file as it is at the moment: it is read again when it has changed. */
export class ConfiguredAuthentication implements TokenAuthenticator {
  readonly #file: FollowedFile<AuthenticationConfiguration & { readonly tokens: TokenAuthenticator }>;

  /** Throws ConfigError for a file that is no good. Later such a change is logged, and what held before holds on. */
  constructor(path: string, ownIssuer: string, log: Log) {
    this.#file = new FollowedFile({
      path,
      setting: "authentication-config",
      reloads: authenticationReloads,
      log,
      parse(text) {
        const configuration = parseAuthenticationConfiguration(text, ownIssuer);
        return { ...configuration, tokens: unionOfTokens(configuration.issuers.map((each) => new JwtTokens(each))) };
      },
    });
  }

  authenticateToken(token: string, audiences?: readonly string[]): ReturnType<TokenAuthenticator["authenticateToken"]> {
    return this.#file.current.tokens.authenticateToken(token, audiences);
  }

  allowsAnonymous(path: string): boolean | undefined {
    return this.#file.current.allowsAnonymous(path);
  }

  reload(): void {
    this.#file.reload();
  }

  stop(): void {
    this.#file.stop();
  }
}
