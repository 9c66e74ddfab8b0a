import { badRequest, type FieldError, invalid, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { escapeFieldValue, parseFieldSelector } from "#shared/api/selector/field-selector.ts";
import { labelSelectorOf, parseLabelSelector } from "#shared/api/selector/label-selector.ts";
import type {
  FieldSelectorAttributes,
  LabelSelectorAttributes,
  LocalSubjectAccessReview,
  NonResourceAttributes,
  ResourceAttributes,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  SubjectAccessReviewStatus,
} from "#shared/api/types/authorization-v1.generated.ts";
import type { FieldSelectorRequirement, LabelSelectorRequirement } from "#shared/api/types/meta-v1.generated.ts";
import type { Prepared, ResourceDeclaration } from "../registry/declaration.ts";
import type { User } from "../request.ts";
import { collect, each, type Field } from "../resources/validation/field.ts";
import { validateLabelName } from "../resources/validation/object-meta.ts";
import { validateKnownOperands } from "../resources/validation/selectors.ts";
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

const subjectAccessReviews = ref<SubjectAccessReview>("SubjectAccessReview");
const selfSubjectAccessReviews = ref<SelfSubjectAccessReview>("SelfSubjectAccessReview");
const localSubjectAccessReviews = ref<LocalSubjectAccessReview>("LocalSubjectAccessReview", true);
export const selfSubjectRulesReviews = ref<SelfSubjectRulesReview>("SelfSubjectRulesReview");

/** Declarations of the virtual kinds of authorization.k8s.io. */
export function authorizationReviews(
  authorizer: Authorizer,
  rulesOf: (user: User, namespace: string) => ResolvedRules,
): ResourceDeclaration[] {
  const decided = <T extends KubeObject & { readonly spec: Asked }>(review: T, user: User): Prepared<KubeObject> => ({
    judged: review,
    carryOut: async () => ({ ...review, status: await decide(authorizer, review.spec, user) }),
  });
  return [
    {
      ref: subjectAccessReviews,
      verbs: ["create"],
      virtual: (object) => {
        const review = object as SubjectAccessReview;
        assertValid(subjectAccessReviews, review, subjectErrors(review.spec));
        return decided(review, subjectOf(review.spec));
      },
    },
    {
      ref: localSubjectAccessReviews,
      verbs: ["create"],
      virtual: (object, { namespace = "" }) => {
        const review = object as LocalSubjectAccessReview;
        assertValid(localSubjectAccessReviews, review, localErrors(review.spec, namespace));
        return decided(review, subjectOf(review.spec));
      },
    },
    {
      ref: selfSubjectAccessReviews,
      verbs: ["create"],
      virtual: (object, { user }) => {
        const review = object as SelfSubjectAccessReview;
        const errors = collect((root) => validateAttributes(review.spec, root.at("spec")));
        assertValid(selfSubjectAccessReviews, review, errors);
        return decided(review, user);
      },
    },
    {
      ref: selfSubjectRulesReviews,
      verbs: ["create"],
      answersAnew: true,
      virtual: (object, { user }) => {
        const review = object as SelfSubjectRulesReview;
        const namespace = review.spec.namespace ?? "";
        if (namespace === "") throw badRequest("no namespace on request");
        const answer = () => ({ ...review, metadata: {}, spec: {}, status: rulesStatus(rulesOf(user, namespace)) });
        return { judged: review, carryOut: () => Promise.resolve(answer()) };
      },
    },
  ] satisfies ResourceDeclaration[];
}

/** What of a review is about one namespace must be about that which it is sent to. */
const localErrors = (spec: LocalSubjectAccessReview["spec"], namespace: string): FieldError[] => [
  ...subjectErrors(spec),
  ...collect((root) => {
    const { resourceAttributes, nonResourceAttributes } = spec;
    const named = resourceAttributes?.namespace ?? "";
    if (resourceAttributes && named !== namespace)
      root.at("spec", "resourceAttributes", "namespace").invalid(named, "must match metadata.namespace");
    if (nonResourceAttributes)
      root.at("spec", "nonResourceAttributes").invalid({}, "disallowed on this kind of request");
  }),
];

interface Asked {
  readonly resourceAttributes?: ResourceAttributes | undefined;
  readonly nonResourceAttributes?: NonResourceAttributes | undefined;
}

async function decide(authorizer: Authorizer, spec: Asked, user: User): Promise<SubjectAccessReviewStatus> {
  const { fieldSelector, labelSelector } = spec.resourceAttributes ?? {};
  const selectors = { field: askedFields(fieldSelector), label: askedLabels(labelSelector) };
  const decision = await authorizer.authorize(attributesOf(spec, user, selectors));
  const ignored = (["field", "label"] as const).flatMap((which) => {
    const { ignored: how } = selectors[which];
    return how ? [`spec.resourceAttributes.${which}Selector ${how} due to parse error`] : [];
  });
  const problems = [...ignored, ...(decision.error === undefined ? [] : [decision.error])];
  return {
    allowed: decision.outcome === "allow",
    ...(decision.outcome === "deny" ? { denied: true } : {}),
    ...(decision.reason ? { reason: decision.reason } : {}),
    ...(problems.length > 0 ? { evaluationError: problems.join("; ") } : {}),
  };
}

/** A selector as an authoriser takes it. What of it could not be read is left out: that only asks for more than is wanted. */
interface AskedSelector {
  readonly text?: string | undefined;
  readonly ignored?: "ignored" | "partially ignored" | undefined;
}

function askedFields(selector: FieldSelectorAttributes | undefined): AskedSelector {
  const { rawSelector, requirements = [] } = selector ?? {};
  if (rawSelector) return asked([readable(() => parseFieldSelector(rawSelector))]);
  const operators: Readonly<Record<string, string>> = { In: "=", NotIn: "!=" };
  return asked(
    requirements.map(({ key, operator, values = [] }) => {
      const sign = operators[operator];
      return sign && values.length === 1 ? `${key}${sign}${escapeFieldValue(values[0] ?? "")}` : undefined;
    }),
  );
}

function askedLabels(selector: LabelSelectorAttributes | undefined): AskedSelector {
  const { rawSelector, requirements = [] } = selector ?? {};
  if (rawSelector) return asked([readable(() => parseLabelSelector(rawSelector))]);
  return asked(requirements.map((each) => readable(() => labelSelectorOf({ matchExpressions: [each] }))));
}

function asked(terms: readonly (string | undefined)[]): AskedSelector {
  const read = terms.filter((term) => term !== undefined);
  const text = read.length > 0 ? read.join(",") : undefined;
  if (read.length === terms.length) return { text };
  return { text, ignored: text === undefined ? "ignored" : "partially ignored" };
}

function readable(parse: () => { toString(): string }): string | undefined {
  try {
    return parse().toString();
  } catch (error) {
    if (error instanceof StatusError) return undefined;
    throw error;
  }
}

function attributesOf(
  { resourceAttributes, nonResourceAttributes }: Asked,
  user: User,
  selectors: { readonly field: AskedSelector; readonly label: AskedSelector },
): Attributes {
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
    fieldSelector: selectors.field.text,
    labelSelector: selectors.label.text,
  };
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

const subjectErrors = (spec: SubjectAccessReviewSpec): FieldError[] =>
  collect((root) => {
    validateAttributes(spec, root.at("spec"));
    if (!spec.user && !spec.groups?.length)
      root.at("spec", "user").invalid(spec.user ?? "", "at least one of user or group must be specified");
  });

function validateAttributes({ resourceAttributes, nonResourceAttributes }: Asked, field: Field): void {
  if (resourceAttributes && nonResourceAttributes) {
    field
      .at("nonResourceAttributes")
      .invalid(nonResourceAttributes, "cannot be specified in combination with resourceAttributes");
  } else if (!resourceAttributes && !nonResourceAttributes) {
    field
      .at("resourceAttributes")
      .invalid(null, "exactly one of nonResourceAttributes or resourceAttributes must be specified");
  }
  const { fieldSelector, labelSelector } = resourceAttributes ?? {};
  const at = field.at("resourceAttributes");
  validateAskedSelector(fieldSelector, at.at("fieldSelector"), ({ key }, place) => {
    if (!key) place.required("must be specified");
  });
  validateAskedSelector(labelSelector, at.at("labelSelector"), ({ key = "" }, place) => validateLabelName(key, place));
}

/** A selector in text or by requirements. Operators that are not known are for a newer server to judge. */
function validateAskedSelector(
  selector: FieldSelectorAttributes | LabelSelectorAttributes | undefined,
  field: Field,
  validateKey: (requirement: FieldSelectorRequirement | LabelSelectorRequirement, field: Field) => void,
): void {
  if (!selector) return;
  const { rawSelector, requirements = [] } = selector;
  if (rawSelector && requirements.length > 0)
    field.at("rawSelector").invalid(rawSelector, "may not specified at the same time as requirements");
  if (!rawSelector && requirements.length === 0)
    field.at("requirements").required(`when ${field.path} is specified, requirements or rawSelector is required`);
  each(requirements, field.at("requirements"), (requirement, at) => {
    validateKey(requirement, at.at("key"));
    validateKnownOperands(requirement.operator ?? "", requirement.values ?? [], at);
  });
}

function assertValid(kind: ResourceRef<KubeObject>, { metadata }: KubeObject, errors: readonly FieldError[]): void {
  const all = [...errors, ...metadataErrors(metadata, kind.namespaced)];
  // Upstream leaves out the kind and the name.
  if (all.length > 0) throw invalid({ group: kind.group, kind: "" }, "", all);
}

/** A review is nobody's object: it has no name, no labels, nothing but its place. */
function metadataErrors(metadata: KubeObject["metadata"], namespaced: boolean): FieldError[] {
  const { managedFields: _, namespace: __, ...rest } = metadata;
  if (Object.values(rest).every((value) => value === undefined || value === null || value === "")) return [];
  const why = namespaced ? "must be empty except for namespace" : "must be empty";
  return collect((root) => root.at("metadata").invalid(metadata, why));
}
