/** AuthorizationConfiguration (apiserver.config.k8s.io): who is asked whether a request may be made, in what order. */
import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { parse } from "yaml";
import type { Program } from "#shared/cel/program.ts";
import { parseDuration_ms } from "#shared/config/option.ts";
import { collect, each, type Field, requiredOneOf } from "../resources/validation/field.ts";
import { isDns1123Subdomain } from "../resources/validation/names.ts";
import { compileMatchConditions } from "./match-conditions.ts";

export const authorizerTypes = ["AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"] as const;
export type AuthorizerType = (typeof authorizerTypes)[number];
/** What flags may name too. */
export type AuthorizerMode = AuthorizerType | "ABAC";

export interface WebhookEntry {
  readonly type: "Webhook";
  readonly name: string;
  /** How long an answer is kept; 0: not at all. */
  readonly authorizedTtl_ms: number;
  readonly unauthorizedTtl_ms: number;
  readonly timeout_ms: number;
  readonly version: "v1" | "v1beta1";
  /** What the request comes to when the webhook gives no answer. */
  readonly onFailure: "no-opinion" | "deny";
  readonly kubeconfig: string;
  readonly conditions: readonly Program[];
}

export type AuthorizerEntry =
  | { readonly type: Exclude<AuthorizerType, "Webhook">; readonly name: string }
  | WebhookEntry;

interface WebhookDocument {
  readonly authorizedTTL?: string;
  readonly cacheAuthorizedRequests?: boolean;
  readonly unauthorizedTTL?: string;
  readonly cacheUnauthorizedRequests?: boolean;
  readonly timeout?: string;
  readonly subjectAccessReviewVersion?: string;
  readonly matchConditionSubjectAccessReviewVersion?: string;
  readonly failurePolicy?: string;
  readonly connectionInfo?: { readonly type?: string; readonly kubeConfigFile?: string };
  readonly matchConditions?: readonly { readonly expression?: string }[];
}

interface EntryDocument {
  readonly type?: string;
  readonly name?: string;
  readonly webhook?: WebhookDocument;
}

interface Document {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly authorizers?: readonly EntryDocument[];
}

const versions = ["v1", "v1beta1", "v1alpha1"].map((version) => `apiserver.config.k8s.io/${version}`);
const LONGEST_TIMEOUT_MS = 30_000;
const AUTHORIZED_TTL = "5m0s";
const UNAUTHORIZED_TTL = "30s";

/** Throws Error with all faults, at the fields where upstream sees them: those of a webhook at its entry. */
export function parseAuthorizationConfiguration(text: string): readonly AuthorizerEntry[] {
  const document = (parse(text) ?? {}) as Document;
  const { apiVersion, kind, authorizers = [] } = document;
  if (kind !== "AuthorizationConfiguration" || !versions.includes(String(apiVersion)))
    throw new Error(
      `expected an AuthorizationConfiguration of ${versions[0]}, got ${String(kind)} of ${String(apiVersion)}`,
    );
  const entries: AuthorizerEntry[] = [];
  const faults = collect((root) => {
    onlyFields(document, ["apiVersion", "kind", "authorizers"], root);
    const field = root.at("authorizers");
    if (authorizers.length === 0) field.required("at least one authorization mode must be defined");
    const seen: Seen = { types: new Set(), names: new Set() };
    each(authorizers, field, (entry, at) => entries.push(...entryOf(entry, seen, at)));
  });
  if (faults.length > 0) throw new Error(faults.map(({ field, message }) => `${field}: ${message}`).join("; "));
  return entries;
}

interface Seen {
  readonly types: Set<string>;
  readonly names: Set<string>;
}

/** Upstream decodes these files strictly: a field that is not known is a fault, not a hint. */
function onlyFields(object: object, known: readonly string[], field: Field): void {
  for (const name of Object.keys(object)) if (!known.includes(name)) field.at(name).forbidden("unknown field");
}

function entryOf(entry: EntryDocument, seen: Seen, field: Field): AuthorizerEntry[] {
  onlyFields(entry, ["type", "name", "webhook"], field);
  const { type = "", name = "", webhook } = entry;
  if (!isAuthorizerType(type)) {
    requiredOneOf(type, authorizerTypes, field.at("type"));
    return [];
  }
  if (seen.types.has(type) && type !== "Webhook") {
    field.at("type").duplicate(type);
    return [];
  }
  seen.types.add(type);
  checkName(name, seen.names, field.at("name"));
  if (type !== "Webhook") {
    if (webhook) field.at("webhook").invalid("non-null", "may only be specified when type=Webhook");
    return [{ type, name }];
  }
  if (webhook) return [webhookOf(name, webhook, field)];
  field.at("webhook").required("required when type=Webhook");
  return [];
}

const isAuthorizerType = (type: string): type is AuthorizerType => authorizerTypes.includes(type as AuthorizerType);

function checkName(name: string, taken: Set<string>, field: Field): void {
  const problems = isDns1123Subdomain(name);
  if (name === "") field.required();
  else if (taken.has(name)) field.duplicate(name);
  else if (problems.length > 0) field.invalid(name, `authorizer name is invalid: ${problems.join(", ")}`);
  taken.add(name);
}

const webhookFields = [
  ...["authorizedTTL", "cacheAuthorizedRequests", "unauthorizedTTL", "cacheUnauthorizedRequests", "timeout"],
  ...["subjectAccessReviewVersion", "matchConditionSubjectAccessReviewVersion", "failurePolicy", "connectionInfo"],
  "matchConditions",
];

function webhookOf(name: string, webhook: WebhookDocument, field: Field): WebhookEntry {
  onlyFields(webhook, webhookFields, field.at("webhook"));
  const { authorizedTTL = AUTHORIZED_TTL, unauthorizedTTL = UNAUTHORIZED_TTL, matchConditions = [] } = webhook;
  const { subjectAccessReviewVersion: version, failurePolicy, connectionInfo = {} } = webhook;
  const timeout_ms = durationOf(webhook.timeout ?? "0s", field.at("timeout"), LONGEST_TIMEOUT_MS);
  const authorizedTtl_ms = durationOf(authorizedTTL, field.at("authorizedTTL"));
  const unauthorizedTtl_ms = durationOf(unauthorizedTTL, field.at("unauthorizedTTL"));
  requiredOneOf(version, ["v1", "v1beta1"], field.at("subjectAccessReviewVersion"));
  const conditionVersion = webhook.matchConditionSubjectAccessReviewVersion ?? "";
  const ofConditions = field.at("matchConditionSubjectAccessReviewVersion");
  if (conditionVersion !== "") requiredOneOf(conditionVersion, ["v1"], ofConditions);
  else if (matchConditions.length > 0) ofConditions.required("required if match conditions are specified");
  requiredOneOf(failurePolicy, ["NoOpinion", "Deny"], field.at("failurePolicy"));
  checkConnection(connectionInfo, field.at("connectionInfo"));
  return {
    type: "Webhook",
    name,
    timeout_ms,
    authorizedTtl_ms: webhook.cacheAuthorizedRequests === false ? 0 : authorizedTtl_ms,
    unauthorizedTtl_ms: webhook.cacheUnauthorizedRequests === false ? 0 : unauthorizedTtl_ms,
    version: version === "v1beta1" ? "v1beta1" : "v1",
    onFailure: failurePolicy === "Deny" ? "deny" : "no-opinion",
    kubeconfig: connectionInfo.kubeConfigFile ?? "",
    conditions: compileMatchConditions(matchConditions, field.at("matchConditions")),
  };
}

function durationOf(text: string, field: Field, longest_ms = Number.POSITIVE_INFINITY): number {
  const isNegative = text.startsWith("-");
  const duration_ms = parseDuration_ms(isNegative ? text.slice(1) : text);
  const limit = longest_ms === Number.POSITIVE_INFINITY ? "" : ` and <= ${longest_ms / 1000}s`;
  if (duration_ms === undefined) field.invalid(text, "expected a duration, as 30s");
  else if (duration_ms === 0) field.required();
  else if (isNegative || duration_ms > longest_ms) field.invalid(text, `must be > 0s${limit}`);
  return duration_ms ?? 0;
}

/** Upstream also knows InClusterConfig, for servers that are not the API server itself. */
function checkConnection(
  { type, kubeConfigFile: file = "" }: NonNullable<WebhookDocument["connectionInfo"]>,
  field: Field,
): void {
  requiredOneOf(type, ["KubeConfigFile"], field.at("type"));
  if (type !== "KubeConfigFile") return;
  const at = field.at("kubeConfigFile");
  if (file === "") at.required();
  else if (!isAbsolute(file)) at.invalid(file, "must be an absolute path");
  else checkFile(file, at);
}

function checkFile(file: string, field: Field): void {
  try {
    if (!statSync(file).isFile()) field.invalid(file, "must be a regular file");
  } catch (error) {
    field.invalid(file, `error loading file: ${(error as Error).message}`);
  }
}
