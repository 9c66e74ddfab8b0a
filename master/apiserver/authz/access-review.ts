import { badRequest, type FieldError, invalid } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type {
  LocalSubjectAccessReview,
  NonResourceAttributes,
  ResourceAttributes,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  SubjectAccessReviewStatus,
} from "#shared/api/types/authorization-v1.generated.ts";
import type { ResourceDeclaration } from "../registry/declaration.ts";
import type { User } from "../request.ts";
import type { Attributes, Authorizer } from "./authorizer.ts";
import type { ResolvedRules } from "./chain.ts";

const group = "authorization.k8s.io";
const ref = <T>(kind: string, namespaced = false): ResourceRef<T> => ({
  group,
  version: "v1",
  kind,
  plural: `${kind.toLowerCase()}s`,
  namespaced,
});

export const subjectAccessReviews = ref<SubjectAccessReview>("SubjectAccessReview");
export const selfSubjectAccessReviews = ref<SelfSubjectAccessReview>("SelfSubjectAccessReview");
export const localSubjectAccessReviews = ref<LocalSubjectAccessReview>("LocalSubjectAccessReview", true);
export const selfSubjectRulesReviews = ref<SelfSubjectRulesReview>("SelfSubjectRulesReview");

/** Declarations of the virtual kinds of authorization.k8s.io. */
export function authorizationReviews(
  authorizer: Authorizer,
  rulesOf: (user: User, namespace: string) => ResolvedRules,
): ResourceDeclaration[] {
  return [
    {
      ref: subjectAccessReviews,
      verbs: ["create"],
      virtual: async (object) => {
        const review = object as SubjectAccessReview;
        assertValid(subjectAccessReviews, review, subjectErrors(review.spec));
        return { ...review, status: await decide(authorizer, review.spec, subjectOf(review.spec)) };
      },
    },
    {
      ref: localSubjectAccessReviews,
      verbs: ["create"],
      virtual: async (object, { namespace }) => {
        const review = object as LocalSubjectAccessReview;
        const named = review.spec.resourceAttributes?.namespace ?? "";
        assertValid(localSubjectAccessReviews, review, [
          ...subjectErrors(review.spec),
          ...(review.spec.resourceAttributes && named !== (namespace ?? "")
            ? [fieldInvalid("spec.resourceAttributes.namespace", named, "must match metadata.namespace")]
            : []),
          ...(review.spec.nonResourceAttributes
            ? [fieldInvalid("spec.nonResourceAttributes", {}, "disallowed on this kind of request")]
            : []),
        ]);
        const status = await decide(authorizer, review.spec, subjectOf(review.spec));
        return { ...review, metadata: { ...review.metadata, namespace }, status };
      },
    },
    {
      ref: selfSubjectAccessReviews,
      verbs: ["create"],
      virtual: async (object, { user }) => {
        const review = object as SelfSubjectAccessReview;
        assertValid(selfSubjectAccessReviews, review, attributeErrors(review.spec));
        return { ...review, status: await decide(authorizer, review.spec, user) };
      },
    },
    {
      ref: selfSubjectRulesReviews,
      verbs: ["create"],
      virtual: async (object, { user }) => {
        const review = object as SelfSubjectRulesReview;
        const namespace = review.spec.namespace ?? "";
        if (namespace === "") throw badRequest("no namespace on request");
        return { ...review, spec: {}, status: rulesStatus(rulesOf(user, namespace)) };
      },
    },
  ] satisfies ResourceDeclaration[];
}

interface Asked {
  readonly resourceAttributes?: ResourceAttributes | undefined;
  readonly nonResourceAttributes?: NonResourceAttributes | undefined;
}

async function decide(authorizer: Authorizer, spec: Asked, user: User): Promise<SubjectAccessReviewStatus> {
  const decision = await authorizer.authorize(attributesOf(spec, user));
  return {
    allowed: decision.outcome === "allow",
    ...(decision.outcome === "deny" ? { denied: true } : {}),
    ...(decision.reason ? { reason: decision.reason } : {}),
  };
}

function attributesOf({ resourceAttributes, nonResourceAttributes }: Asked, user: User): Attributes {
  if (!resourceAttributes)
    return {
      user,
      verb: nonResourceAttributes?.verb ?? "",
      isResourceRequest: false,
      path: nonResourceAttributes?.path ?? "",
      group: "",
      version: "",
      resource: "",
    };
  const { namespace, verb = "", group: apiGroup = "", version, resource = "", subresource, name } = resourceAttributes;
  return {
    user,
    verb,
    isResourceRequest: true,
    path: "",
    group: apiGroup,
    version: version || "*",
    resource,
    ...(subresource ? { subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    fieldSelector: fieldSelectorOf(resourceAttributes),
    labelSelector: resourceAttributes.labelSelector?.rawSelector,
  };
}

/** Requirements that a field selector in text cannot say are left out: that only asks for more than is wanted. */
function fieldSelectorOf({ fieldSelector }: ResourceAttributes): string | undefined {
  if (!fieldSelector) return undefined;
  if (fieldSelector.rawSelector) return fieldSelector.rawSelector;
  const terms = (fieldSelector.requirements ?? []).flatMap(({ key, operator, values }) => {
    const [value] = values ?? [];
    if (value === undefined || values?.length !== 1) return [];
    const escaped = value.replace(/[\\,=]/g, (character) => `\\${character}`);
    return operator === "In" ? [`${key}=${escaped}`] : operator === "NotIn" ? [`${key}!=${escaped}`] : [];
  });
  return terms.length > 0 ? terms.join(",") : undefined;
}

function subjectOf({ user = "", uid, groups = [], extra }: SubjectAccessReviewSpec): User {
  return { name: user, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) };
}

function rulesStatus({ rules, incomplete, evaluationError }: ResolvedRules): SelfSubjectRulesReview["status"] {
  return {
    resourceRules: rules
      .filter((rule) => rule.resources?.length)
      .map(({ verbs, apiGroups, resources, resourceNames }) => ({
        verbs: [...verbs],
        ...(apiGroups?.length ? { apiGroups } : {}),
        ...(resources?.length ? { resources } : {}),
        ...(resourceNames?.length ? { resourceNames } : {}),
      })),
    nonResourceRules: rules
      .filter((rule) => rule.nonResourceURLs?.length)
      .map(({ verbs, nonResourceURLs }) => ({ verbs: [...verbs], nonResourceURLs })),
    incomplete,
    ...(evaluationError ? { evaluationError } : {}),
  };
}

function subjectErrors(spec: SubjectAccessReviewSpec): FieldError[] {
  const hasSubject = Boolean(spec.user) || (spec.groups ?? []).length > 0;
  return [
    ...attributeErrors(spec),
    ...(hasSubject
      ? []
      : [fieldInvalid("spec.user", spec.user ?? "", "at least one of user or group must be specified")]),
  ];
}

function attributeErrors({ resourceAttributes, nonResourceAttributes }: Asked): FieldError[] {
  if (resourceAttributes && nonResourceAttributes)
    return [
      fieldInvalid(
        "spec.nonResourceAttributes",
        nonResourceAttributes,
        "cannot be specified in combination with resourceAttributes",
      ),
    ];
  if (!resourceAttributes && !nonResourceAttributes)
    return [
      fieldInvalid(
        "spec.resourceAttributes",
        null,
        "exactly one of nonResourceAttributes or resourceAttributes must be specified",
      ),
    ];
  return (["fieldSelector", "labelSelector"] as const).flatMap((name) => {
    const selector = resourceAttributes?.[name];
    const field = `spec.resourceAttributes.${name}`;
    if (!selector) return [];
    if (selector.rawSelector && selector.requirements?.length)
      return [
        fieldInvalid(
          `${field}.rawSelector`,
          selector.rawSelector,
          "may not specified at the same time as requirements",
        ),
      ];
    if (!selector.rawSelector && !selector.requirements?.length)
      return [
        {
          field: `${field}.requirements`,
          reason: "FieldValueRequired" as const,
          message: `Required value: when ${field} is specified, requirements or rawSelector is required`,
        },
      ];
    return [];
  });
}

function assertValid(kind: ResourceRef<KubeObject>, review: KubeObject, errors: readonly FieldError[]): void {
  // Upstream leaves out the kind.
  if (errors.length > 0) throw invalid({ group: kind.group, kind: "" }, review.metadata.name ?? "", errors);
}

const fieldInvalid = (field: string, value: unknown, why: string): FieldError => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});
