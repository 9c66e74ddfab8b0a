import type { FieldError } from "#shared/api/errors.ts";
import type {
  FlowSchema,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
  Subject,
} from "#shared/api/types/flowcontrol-v1.generated.ts";
import { collect, each, type Field } from "../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain } from "../validation/names.ts";
import { validateTypedConditions } from "./conditions.ts";

const maxPrecedence = 10_000;
const methods = ["ByNamespace", "ByUser"];
const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

export const validateFlowSchema = ({ metadata, spec, status }: FlowSchema): FieldError[] =>
  collect((root) => {
    const field = root.at("spec");
    const { matchingPrecedence: precedence = 0, distinguisherMethod: method, priorityLevelConfiguration, rules } = spec;
    const at = field.at("matchingPrecedence");
    if (precedence <= 0) at.invalid(precedence, "must be a positive value");
    if (precedence > maxPrecedence) at.invalid(precedence, `must not be greater than ${maxPrecedence}`);
    if (precedence === 1 && metadata.name !== "exempt")
      at.invalid(precedence, "only the schema named 'exempt' may have matchingPrecedence 1");
    if (method && !methods.includes(method.type)) field.at("distinguisherMethod", "type").notSupported(method, methods);
    const level = field.at("priorityLevelConfiguration", "name");
    const name = priorityLevelConfiguration?.name;
    if (name) level.invalidEach(name, isDns1123Subdomain(name));
    else level.required("must reference a priority level");
    each(rules, field.at("rules"), validateRules);
    validateTypedConditions(status?.conditions ?? [], root.at("status", "conditions"));
  });

function validateRules({ subjects, resourceRules, nonResourceRules }: PolicyRulesWithSubjects, field: Field): void {
  if (!subjects?.length) field.at("subjects").required("subjects must contain at least one value");
  each(subjects, field.at("subjects"), validateSubject);
  if (!resourceRules?.length && !nonResourceRules?.length)
    field.required("at least one of resourceRules and nonResourceRules has to be non-empty");
  each(resourceRules, field.at("resourceRules"), validateResourceRule);
  each(nonResourceRules, field.at("nonResourceRules"), validateNonResourceRule);
}

const subjectFields = { ServiceAccount: "serviceAccount", User: "user", Group: "group" } as const;

function validateSubject(subject: Subject, field: Field): void {
  const kinds = Object.keys(subjectFields) as (keyof typeof subjectFields)[];
  if (!kinds.some((kind) => kind === subject.kind)) {
    field.at("kind").notSupported(subject.kind ?? "", [...kinds].sort());
    return;
  }
  for (const kind of kinds) {
    const name = subjectFields[kind];
    const at = field.at(name);
    if (kind !== subject.kind) {
      if (subject[name]) at.forbidden(`${name} is forbidden when subject kind is not '${kind}'`);
    } else if (!subject[name]) at.required(`${name} is required when subject kind is '${kind}'`);
    else if (!subject[name].name) at.at("name").required();
  }
  if (subject.kind === "ServiceAccount" && subject.serviceAccount) {
    const { name, namespace } = subject.serviceAccount;
    const at = field.at("serviceAccount");
    if (name && name !== "*") at.at("name").invalidEach(name, isDns1123Subdomain(name));
    if (namespace) at.at("namespace").invalidEach(namespace, isDns1123Label(namespace));
    else at.at("namespace").required("must specify namespace for service account");
  }
}

/** A list that is needed, and where `*` stands alone. Whether it is a list of names to be judged further. */
function validateWildcards(list: readonly string[], missing: string, others: string, field: Field): boolean {
  if (list.length === 0) field.required(missing);
  else if (list.length > 1 && list.includes("*"))
    field.invalid(list, `if '*' is present, must not specify other ${others}`);
  return !list.includes("*");
}

function validateVerbs(given: readonly string[] = [], field: Field): void {
  if (!validateWildcards(given, "verbs must contain at least one value", "verbs", field)) return;
  if (given.some((verb) => !verbs.includes(verb))) field.notSupported(given, verbs);
}

function validateNonResourceRule({ verbs: given, nonResourceURLs: urls = [] }: NonResourcePolicyRule, field: Field) {
  validateVerbs(given, field.at("verbs"));
  const at = field.at("nonResourceURLs");
  const missing = "nonResourceURLs must contain at least one value";
  if (validateWildcards(urls, missing, "non-resource URLs", at)) each(urls, at, validateUrl);
}

function validateUrl(path: string, field: Field): void {
  if (path === "") field.invalid(path, "must not be empty");
  else if (path === "/") return;
  else if (!path.startsWith("/")) field.invalid(path, "must start with slash");
  else if (path.includes(" ")) field.invalid(path, "must not contain white-space");
  else if (path.includes("//")) field.invalid(path, "must not contain double slash");
  else if (path.replace(/\/\*$/, "").includes("*")) field.invalid(path, "wildcard can only do suffix matching");
}

function validateResourceRule(rule: ResourcePolicyRule, field: Field): void {
  validateVerbs(rule.verbs, field.at("verbs"));
  const { apiGroups = [], resources = [], namespaces = [], clusterScope } = rule;
  validateWildcards(
    apiGroups,
    "resource rules must supply at least one api group",
    "api groups",
    field.at("apiGroups"),
  );
  validateWildcards(resources, "resource rules must supply at least one resource", "resources", field.at("resources"));
  const at = field.at("namespaces");
  if (namespaces.length === 0) {
    if (!clusterScope) at.required("resource rules that are not cluster scoped must supply at least one namespace");
  } else if (validateWildcards(namespaces, "", "namespaces", at)) {
    each(namespaces, at, (name, place) => {
      for (const message of isDns1123Label(name))
        place.invalid(name, `each member of this list must be '*' or a DNS-1123 label; ${message}`);
    });
  }
}
