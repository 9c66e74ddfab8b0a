import { goQuoteAll } from "#shared/api/selector/go-quote.ts";
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

/** Rules of a few kilobytes may stand for thousands of millions of grants, and be compared with as many rules as a role has room for. */
const MOST_COMPARISONS = 5_000_000;
const MOST_GRANTS = 50_000;

/** More grants than are compared with what is held. */
export class TooManyGrants extends Error {
  override readonly name = "TooManyGrants";
}

/**
 * The smallest grants of `wanted` that no rule of `held` covers; empty when all are held. Throws TooManyGrants where it would take too
 * long to tell.
 */
export function missingRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  const rules = held.map((rule) => new HeldRule(rule));
  const missing: PolicyRule[] = [];
  let [grants, comparisons] = [0, 0];
  const isHeld = (rule: PolicyRule): boolean => {
    const weight = 1 + Math.floor(sizeOf(rule) / 16);
    for (const each of rules) {
      comparisons += weight + (rule.nonResourceURLs?.length ? each.urls.length : 0);
      if (comparisons > MOST_COMPARISONS) throw new TooManyGrants("there are too many rules to compare");
      if (each.covers(rule)) return true;
    }
    return false;
  };
  for (const rule of wanted) {
    // Most often one rule has all of it.
    if (isWhole(rule) && isHeld(rule)) continue;
    for (const grant of breakDown(rule)) {
      grants += 1;
      if (grants > MOST_GRANTS) throw new TooManyGrants(`the rules come to more than ${MOST_GRANTS} single grants`);
      if (!isHeld(grant)) missing.push(grant);
    }
  }
  return missing;
}

const sizeOf = ({ verbs, apiGroups, resources, resourceNames }: PolicyRule): number =>
  verbs.length + (apiGroups?.length ?? 0) + (resources?.length ?? 0) + (resourceNames?.length ?? 0);

/** Whether what it grants is all of the combinations that it names, and not none. */
const isWhole = ({ verbs, apiGroups, resources, nonResourceURLs }: PolicyRule): boolean =>
  verbs.length > 0 && !nonResourceURLs?.length && Boolean(apiGroups?.length) && Boolean(resources?.length);

/** Grants of at most one verb, resource and name each. */
function* breakDown(rule: PolicyRule): Generator<PolicyRule> {
  for (const group of rule.apiGroups ?? [])
    for (const resource of rule.resources ?? [])
      for (const verb of rule.verbs) {
        const grant = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (rule.resourceNames?.length)
          for (const name of rule.resourceNames) yield { ...grant, resourceNames: [name] };
        else yield grant;
      }
  for (const url of rule.nonResourceURLs ?? [])
    for (const verb of rule.verbs) yield { verbs: [verb], nonResourceURLs: [url] };
}

/** A rule that others are compared with. */
class HeldRule {
  readonly urls: readonly string[];
  readonly #verbs: Names;
  readonly #groups: Names;
  readonly #resources: Names;
  readonly #names: Names;
  readonly #isNamed: boolean;

  constructor({ verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule) {
    this.#verbs = namesOf(verbs);
    this.#groups = namesOf(apiGroups);
    this.#resources = namesOf(resources);
    this.#names = namesOf(resourceNames);
    this.#isNamed = Boolean(resourceNames?.length);
    this.urls = nonResourceURLs ?? [];
  }

  covers({ verbs, apiGroups, resources, resourceNames = [], nonResourceURLs }: PolicyRule): boolean {
    return (
      verbs.every((verb) => isIn(this.#verbs, verb)) &&
      (apiGroups ?? []).every((group) => isIn(this.#groups, group)) &&
      (resources ?? []).every((resource) => resourceCovers(this.#resources, resource)) &&
      (nonResourceURLs ?? []).every((url) => this.urls.some((held) => urlCovers(held, url))) &&
      (!this.#isNamed || (resourceNames.length > 0 && resourceNames.every((name) => isAmong(this.#names, name))))
    );
  }
}

/** Few are looked along; a set of them would cost more. */
type Names = readonly string[] | ReadonlySet<string>;
const FEW = 32;
const namesOf = (list: readonly string[] = []): Names => (list.length > FEW ? new Set(list) : list);
const isAmong = (held: Names, wanted: string): boolean =>
  held instanceof Set ? held.has(wanted) : (held as readonly string[]).includes(wanted);
const isIn = (held: Names, wanted: string): boolean => isAmong(held, "*") || isAmong(held, wanted);

function resourceCovers(held: Names, resource: string): boolean {
  if (isIn(held, resource)) return true;
  const slash = resource.indexOf("/");
  return slash > 0 && isAmong(held, `*${resource.slice(slash)}`);
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
    values?.length ? [`${name}:${goQuoteAll(values)}`] : [];
  const parts = [
    ...part("APIGroups", rule.apiGroups),
    ...part("Resources", rule.resources),
    ...part("NonResourceURLs", rule.nonResourceURLs),
    ...part("ResourceNames", rule.resourceNames),
    ...part("Verbs", rule.verbs),
  ];
  return `{${parts.join(", ")}}`;
}

const hasOrAll = (values: readonly string[], wanted: string): boolean =>
  values.includes("*") || values.includes(wanted);
