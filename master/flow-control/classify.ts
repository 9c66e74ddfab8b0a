import type {
  FlowSchema,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
  Subject,
} from "#shared/api/types/flowcontrol-v1.generated.ts";
import type { RequestInfo, User } from "../apiserver/request.ts";
import { byPrecedence } from "./precedence.ts";

export interface Classified {
  readonly schema: FlowSchema;
  /** What tells the flows of a schema apart: a user's name, a namespace, or nothing. */
  readonly distinguisher: string;
}

/** By precedence, the lower first; then by name. */
export const inPrecedence = (schemas: readonly FlowSchema[]): FlowSchema[] => schemas.toSorted(byPrecedence);

/** The first schema that matches, of schemas in precedence. */
export function classify(user: User, info: RequestInfo, schemas: readonly FlowSchema[]): Classified | undefined {
  for (const schema of schemas) {
    if (!schema.spec.rules?.some((rule) => ruleMatches(rule, user, info))) continue;
    const by = schema.spec.distinguisherMethod?.type;
    const distinguisher = by === "ByUser" ? user.name : by === "ByNamespace" ? (info.namespace ?? "") : "";
    return { schema, distinguisher };
  }
  return undefined;
}

function ruleMatches(rule: PolicyRulesWithSubjects, user: User, info: RequestInfo): boolean {
  if (!rule.subjects.some((subject) => subjectMatches(subject, user))) return false;
  return info.isResourceRequest
    ? (rule.resourceRules?.some((each) => resourceRuleMatches(each, info)) ?? false)
    : (rule.nonResourceRules?.some((each) => pathRuleMatches(each, info)) ?? false);
}

const accountPrefix = "system:serviceaccount:";

function subjectMatches({ kind, user, group, serviceAccount }: Subject, asking: User): boolean {
  switch (kind) {
    case "User":
      return user !== undefined && (user.name === "*" || user.name === asking.name);
    case "Group":
      return group !== undefined && (group.name === "*" || asking.groups.includes(group.name));
    case "ServiceAccount": {
      if (!serviceAccount || !asking.name.startsWith(accountPrefix)) return false;
      const [namespace, name] = asking.name.slice(accountPrefix.length).split(":");
      return namespace === serviceAccount.namespace && (serviceAccount.name === "*" || serviceAccount.name === name);
    }
    default:
      return false;
  }
}

const names = (list: readonly string[], name: string): boolean => list.includes("*") || list.includes(name);

function resourceRuleMatches(rule: ResourcePolicyRule, info: RequestInfo): boolean {
  const { verb, group, resource, subresource, namespace } = info;
  if (!names(rule.verbs, verb) || !names(rule.apiGroups, group)) return false;
  if (!names(rule.resources, subresource ? `${resource}/${subresource}` : resource)) return false;
  // A Namespace itself is cluster-scoped, though its requests carry its name.
  return namespace && resource !== "namespaces" ? names(rule.namespaces ?? [], namespace) : rule.clusterScope === true;
}

function pathRuleMatches(rule: NonResourcePolicyRule, { verb, path }: RequestInfo): boolean {
  if (!names(rule.verbs, verb)) return false;
  return rule.nonResourceURLs.some((url) =>
    url === "*" || url === path ? true : url.endsWith("/*") && path.startsWith(url.slice(0, -1)),
  );
}
