import type { FieldError } from "#shared/api/errors.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from "#shared/api/types/rbac-v1.generated.ts";
import { collect, type Field, oneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Subdomain, isPathSegment } from "../validation/names.ts";
import { validateLabelSelector } from "../validation/selectors.ts";

type Binding = RoleBinding | ClusterRoleBinding;

const group = "rbac.authorization.k8s.io";

/** Groups that are left out: that of the role, and of subjects by their kind (SetDefaults_RoleBinding upstream). */
export function applyBindingDefaults(draft: Binding): void {
  draft.roleRef.apiGroup ||= group;
  for (const subject of draft.subjects ?? [])
    if (!subject.apiGroup && (subject.kind === "User" || subject.kind === "Group")) subject.apiGroup = group;
}

export const validateRole = ({ rules }: Role): FieldError[] =>
  collect((root) => validateRules(rules, "namespaced", root));

export const validateClusterRole = ({ rules, aggregationRule }: ClusterRole): FieldError[] =>
  collect((root) => {
    validateRules(rules, "cluster", root);
    if (!aggregationRule) return;
    const selectors = aggregationRule.clusterRoleSelectors ?? [];
    const field = root.at("aggregationRule", "clusterRoleSelectors");
    if (selectors.length === 0)
      field.required("at least one clusterRoleSelector required if aggregationRule is non-nil");
    for (const [index, selector] of selectors.entries()) {
      validateLabelSelector(selector, field.index(index));
      const isInvalid = collect((own) => validateLabelSelector(selector, own)).length > 0;
      if (isInvalid) field.index(index).invalid(null, "invalid label selector.");
    }
  });

export const validateRoleBinding = (binding: RoleBinding): FieldError[] => validateBinding(binding, "namespaced");
export const validateClusterRoleBinding = (binding: ClusterRoleBinding): FieldError[] =>
  validateBinding(binding, "cluster");

/** What a binding gives cannot be changed under those that have seen it. */
export const validateBindingUpdate = ({ roleRef }: Binding, old: Readonly<Binding>): FieldError[] =>
  collect((root) => {
    if (!semanticEqual(roleRef, old.roleRef)) root.at("roleRef").invalid(roleRef, "cannot change roleRef");
  });

function validateRules(rules: readonly PolicyRule[] | undefined, scope: "namespaced" | "cluster", root: Field): void {
  for (const [index, rule] of (rules ?? []).entries()) validateRule(rule, scope, root.at("rules").index(index));
}

function validateRule(rule: PolicyRule, scope: "namespaced" | "cluster", field: Field): void {
  if (!rule.verbs?.length) field.at("verbs").required("verbs must contain at least one value");
  const urls = rule.nonResourceURLs ?? [];
  if (urls.length > 0) {
    if (scope === "namespaced")
      field.at("nonResourceURLs").invalid(urls, "namespaced rules cannot apply to non-resource URLs");
    if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length)
      field.at("nonResourceURLs").invalid(urls, "rules cannot apply to both regular resources and non-resource URLs");
    return;
  }
  if (!rule.apiGroups?.length) field.at("apiGroups").required("resource rules must supply at least one api group");
  if (!rule.resources?.length) field.at("resources").required("resource rules must supply at least one resource");
}

function validateBinding({ roleRef, subjects }: Binding, scope: "namespaced" | "cluster"): FieldError[] {
  return collect((root) => {
    const field = root.at("roleRef");
    oneOf(roleRef.apiGroup, [group], field.at("apiGroup"));
    oneOf(roleRef.kind, scope === "namespaced" ? ["Role", "ClusterRole"] : ["ClusterRole"], field.at("kind"));
    if (!roleRef.name) field.at("name").required();
    else field.at("name").invalidEach(roleRef.name, isPathSegment(roleRef.name));
    for (const [index, subject] of (subjects ?? []).entries())
      validateSubject(subject, scope, root.at("subjects").index(index));
  });
}

function validateSubject(subject: Subject, scope: "namespaced" | "cluster", field: Field): void {
  if (!subject.name) field.at("name").required();
  switch (subject.kind) {
    case "ServiceAccount":
      if (subject.name) field.at("name").invalidEach(subject.name, isDns1123Subdomain(subject.name));
      oneOf(subject.apiGroup, [""], field.at("apiGroup"));
      if (scope === "cluster" && !subject.namespace) field.at("namespace").required();
      return;
    case "User":
    case "Group":
      oneOf(subject.apiGroup, [group], field.at("apiGroup"));
      return;
    default:
      field.at("kind").notSupported(subject.kind, ["ServiceAccount", "User", "Group"]);
  }
}
