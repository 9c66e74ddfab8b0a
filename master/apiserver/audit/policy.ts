/** audit.k8s.io/v1 Policy: which requests are recorded, at which stages, and how much of each. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { messageOf } from "#shared/api/joined-errors.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { RequestInfo, User } from "../request.ts";

const levels = ["None", "Metadata", "Request", "RequestResponse"] as const;
export type Level = (typeof levels)[number];
const stages = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"] as const;
export type Stage = (typeof stages)[number];

export const reaches = (level: Level, least: Level): boolean => levels.indexOf(level) >= levels.indexOf(least);

interface GroupResources {
  readonly group?: string;
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** One rule as it stands in the file; what is left out or empty matches all. */
export interface PolicyRule {
  readonly level: Level;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly resources?: readonly GroupResources[];
  /** "" is what stands in no namespace. */
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly omitStages?: readonly Stage[];
  readonly omitManagedFields?: boolean;
}

export interface Policy {
  readonly rules: readonly PolicyRule[];
  readonly omitStages?: readonly Stage[];
  readonly omitManagedFields?: boolean;
}

export interface Verdict {
  readonly level: Level;
  readonly omitStages: ReadonlySet<Stage>;
  readonly omitManagedFields: boolean;
}

const nothing: Verdict = { level: "None", omitStages: new Set(), omitManagedFields: false };

/** What the first rule that matches says of a request; None where none does. */
export function judge(policy: Policy, user: User, info: RequestInfo): Verdict {
  const rule = policy.rules.find((each) => matches(each, user, info));
  if (!rule) return nothing;
  return {
    level: rule.level,
    omitStages: new Set([...(policy.omitStages ?? []), ...(rule.omitStages ?? [])]),
    omitManagedFields: rule.omitManagedFields ?? policy.omitManagedFields ?? false,
  };
}

const isAmong = (list: readonly string[] | undefined, value: string): boolean =>
  list === undefined || list.length === 0 || list.includes(value);

function matches(rule: PolicyRule, user: User, info: RequestInfo): boolean {
  const { users, userGroups = [], verbs, namespaces = [], resources = [], nonResourceURLs = [] } = rule;
  if (!isAmong(users, user.name) || !isAmong(verbs, info.verb)) return false;
  if (userGroups.length > 0 && !userGroups.some((group) => user.groups.includes(group))) return false;
  if (namespaces.length === 0 && resources.length === 0 && nonResourceURLs.length === 0) return true;
  if (!info.isResourceRequest) return nonResourceURLs.some((pattern) => pathMatches(info.path, pattern));
  if (namespaces.length === 0 && resources.length === 0) return false;
  return (
    isAmong(namespaces, info.namespace ?? "") && (resources.length === 0 || resources.some((each) => names(each, info)))
  );
}

function pathMatches(path: string, pattern: string): boolean {
  if (pattern === "*" || pattern === path) return true;
  return pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1));
}

/** `pods`, `pods/log`, all subresources of one resource, one subresource of all, or everything. */
function names({ group = "", resources = [], resourceNames }: GroupResources, info: RequestInfo): boolean {
  if (group !== info.group) return false;
  if (resources.length === 0) return true;
  if (!isAmong(resourceNames, info.name ?? "")) return false;
  const { resource, subresource } = info;
  const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
  return resources.some(
    (each) =>
      each === "*" ||
      each === whole ||
      (subresource !== undefined && (each === `*/${subresource}` || each === `${resource}/*`)),
  );
}

/** Reads and checks a policy file. Throws ConfigError. */
export function readPolicy(path: string): Policy {
  try {
    return checked(parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new ConfigError(`audit-policy-file: ${path}: ${messageOf(error)}`);
  }
}

/** As upstream checks it. Throws Error with all faults. */
export function checked(value: unknown): Policy {
  const policy = (value ?? {}) as Policy & { readonly apiVersion?: unknown; readonly kind?: unknown };
  if (policy.apiVersion !== "audit.k8s.io/v1" || policy.kind !== "Policy")
    throw new Error(`expected a Policy of audit.k8s.io/v1, got ${String(policy.kind)} of ${String(policy.apiVersion)}`);
  if (!Array.isArray(policy.rules) || policy.rules.length === 0) throw new Error("loaded illegal policy with 0 rules");
  const faults = [
    ...faultsOfStages(policy.omitStages, "omitStages"),
    ...policy.rules.flatMap((rule: PolicyRule, index: number) => faultsOf(rule, `rules[${index}]`)),
  ];
  if (faults.length > 0) throw new Error(faults.join("; "));
  return policy;
}

function faultsOf(rule: PolicyRule, field: string): string[] {
  const faults = faultsOfStages(rule.omitStages, `${field}.omitStages`);
  if (!levels.includes(rule.level)) faults.push(`${field}.level: Unsupported value: ${JSON.stringify(rule.level)}`);
  const { nonResourceURLs = [], resources = [], namespaces = [] } = rule;
  if (nonResourceURLs.length > 0 && (resources.length > 0 || namespaces.length > 0))
    faults.push(`${field}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs`);
  for (const url of nonResourceURLs) {
    if (url !== "*" && !url.startsWith("/"))
      faults.push(`${field}.nonResourceURLs: ${url} must begin with a '/' character`);
    if (url !== "*" && url.slice(0, -1).includes("*"))
      faults.push(`${field}.nonResourceURLs: ${url}: only a trailing '*' is allowed`);
  }
  for (const { resources: listed = [], resourceNames = [] } of resources) {
    if (resourceNames.length > 0 && listed.length === 0)
      faults.push(`${field}.resources: using resourceNames requires at least one resource`);
  }
  return faults;
}

function faultsOfStages(given: readonly Stage[] | undefined, field: string): string[] {
  return (given ?? [])
    .filter((stage) => !stages.includes(stage))
    .map((stage) => `${field}: Unsupported value: "${stage}"`);
}
