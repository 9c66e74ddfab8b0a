import { goQuote } from "#shared/api/selector/go-quote.ts";
import { trimEnd } from "#shared/api/trim-end.ts";
import type { PolicyRule } from "#shared/api/types/rbac-v1.generated.ts";
import type { Attributes } from "./authorizer.ts";

/** Whether one rule of a role allows the request. */
export function ruleAllows(rule: PolicyRule, request: Attributes): boolean {
  if (!hasOrAll(rule.verbs, request.verb)) return false;
  if (!request.isResourceRequest) return (rule.nonResourceURLs ?? []).some((url) => urlCovers(url, request.path));
  return (
    hasOrAll(rule.apiGroups ?? [], request.group) &&
    (rule.resources ?? []).some((resource) => resourceMatches(resource, request.resource, request.subresource ?? "")) &&
    (!rule.resourceNames?.length || rule.resourceNames.includes(request.name ?? ""))
  );
}

function resourceMatches(ruleResource: string, resource: string, subresource: string): boolean {
  if (ruleResource === "*") return true;
  if (subresource === "") return ruleResource === resource;
  return ruleResource === `${resource}/${subresource}` || ruleResource === `*/${subresource}`;
}

/** `*` ends a URL pattern, and means any rest. */
function urlCovers(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith("*") && path.startsWith(trimEnd(pattern, "*")));
}

/** The smallest grants of `wanted` that no rule of `held` covers; empty when all are held. */
export function missingRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(breakDown).filter((grant) => !held.some((rule) => covers(rule, grant)));
}

/** Grants of at most one verb, resource and name each. */
function breakDown(rule: PolicyRule): PolicyRule[] {
  const grants: PolicyRule[] = [];
  for (const group of rule.apiGroups ?? [])
    for (const resource of rule.resources ?? [])
      for (const verb of rule.verbs) {
        const grant = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (rule.resourceNames?.length)
          for (const name of rule.resourceNames) grants.push({ ...grant, resourceNames: [name] });
        else grants.push(grant);
      }
  for (const url of rule.nonResourceURLs ?? [])
    for (const verb of rule.verbs) grants.push({ verbs: [verb], nonResourceURLs: [url] });
  return grants;
}

function covers(rule: PolicyRule, grant: PolicyRule): boolean {
  const names = grant.resourceNames ?? [];
  return (
    grant.verbs.every((verb) => hasOrAll(rule.verbs, verb)) &&
    (grant.apiGroups ?? []).every((group) => hasOrAll(rule.apiGroups ?? [], group)) &&
    (grant.resources ?? []).every((resource) => resourceCovers(rule.resources ?? [], resource)) &&
    (grant.nonResourceURLs ?? []).every((url) => (rule.nonResourceURLs ?? []).some((held) => urlCovers(held, url))) &&
    (!rule.resourceNames?.length || (names.length > 0 && names.every((name) => rule.resourceNames?.includes(name))))
  );
}

function resourceCovers(held: readonly string[], resource: string): boolean {
  if (held.includes("*") || held.includes(resource)) return true;
  const slash = resource.indexOf("/");
  return slash > 0 && held.includes(`*${resource.slice(slash)}`);
}

/** Joins grants that differ only by verb; for messages. */
export function compactRules(grants: readonly PolicyRule[]): PolicyRule[] {
  const joined = new Map<string, PolicyRule>();
  for (const grant of grants) {
    const { verbs, ...where } = grant;
    const key = JSON.stringify([where.apiGroups, where.resources, where.resourceNames, where.nonResourceURLs]);
    const known = where.nonResourceURLs ? undefined : joined.get(key);
    if (known) known.verbs.push(...verbs);
    else joined.set(where.nonResourceURLs ? `${key}${joined.size}` : key, { ...grant, verbs: [...verbs] });
  }
  return [...joined.values()];
}

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`: how refusals show a rule. */
export function describeRule(rule: PolicyRule): string {
  const part = (name: string, values: readonly string[] | undefined) =>
    values?.length ? [`${name}:${quotedList(values)}`] : [];
  const parts = [
    ...part("APIGroups", rule.apiGroups),
    ...part("Resources", rule.resources),
    ...part("NonResourceURLs", rule.nonResourceURLs),
    ...part("ResourceNames", rule.resourceNames),
    ...part("Verbs", rule.verbs),
  ];
  return `{${parts.join(", ")}}`;
}

/** As Go prints a []string with %q. */
export const quotedList = (values: readonly string[]): string => `[${values.map(goQuote).join(" ")}]`;

const hasOrAll = (values: readonly string[], wanted: string): boolean =>
  values.includes("*") || values.includes(wanted);
