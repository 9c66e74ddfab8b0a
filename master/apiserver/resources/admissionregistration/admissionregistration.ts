import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  mutatingWebhookConfigurations,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  validatingWebhookConfigurations,
} from "#shared/api/resources.ts";
import { structText } from "#shared/api/selector/struct-text.ts";
import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
} from "#shared/api/types/admissionregistration-v1beta1.generated.ts";
import type { ResourceDeclaration, Strategy, TableColumn } from "../../registry/declaration.ts";
import { ageColumn, column, integerColumn, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import {
  applyMutatingPolicyDefaults,
  validateMutatingPolicy,
  validateMutatingPolicyBinding,
} from "./mutating-policy-rules.ts";
import {
  applyPolicyBindingDefaults,
  applyPolicyDefaults,
  validatePolicy,
  validatePolicyBinding,
  validatePolicyStatus,
} from "./policy-rules.ts";
import { applyMutatingWebhookDefaults, applyWebhookDefaults, validateWebhooks } from "./webhook-rules.ts";

const categories = ["api-extensions"];

type Policy = ValidatingAdmissionPolicy | MutatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding;

const paramKindColumn = column<Policy>("ParamKind", ({ spec: { paramKind } }) =>
  paramKind === undefined ? "<unset>" : `${paramKind.apiVersion ?? ""}/${paramKind.kind ?? ""}`,
);

const bindingColumns: readonly TableColumn<Binding>[] = [
  nameColumn,
  column("PolicyName", ({ spec }) => spec.policyName ?? ""),
  column("ParamRef", ({ spec: { paramRef } }) => {
    if (paramRef?.name) return `${paramRef.namespace || "*"}/${paramRef.name}`;
    return paramRef?.selector ? structText(paramRef.selector) : "<unset>";
  }),
  ageColumn,
];

const policyStrategy = {
  metadataRules: "names",
  judgesNameOnUpdate: true,
  hasGeneration: true,
  allowUnconditionalUpdate: false,
} as const satisfies Strategy;

/** The two kinds of webhook differ in a default alone. */
function webhookConfiguration<T extends MutatingWebhookConfiguration | ValidatingWebhookConfiguration>(
  ref: ResourceRef<T>,
  applyDefaults: (draft: T) => void,
): ResourceDeclaration<T> {
  return {
    ref,
    categories,
    columns: [nameColumn, integerColumn("Webhooks", ({ webhooks }) => webhooks?.length ?? 0), ageColumn],
    strategy: {
      metadataRules: "names",
      judgesNameOnUpdate: true,
      hasGeneration: true,
      generationBasis: ({ webhooks }) => webhooks,
      allowUnconditionalUpdate: false,
      applyDefaults,
      validate: (configuration) => validateWebhooks(configuration),
      validateUpdate: validateWebhooks,
    },
  };
}

export const mutatingWebhookConfiguration = webhookConfiguration(
  mutatingWebhookConfigurations,
  applyMutatingWebhookDefaults,
);
export const validatingWebhookConfiguration = webhookConfiguration(
  validatingWebhookConfigurations,
  applyWebhookDefaults,
);

export const validatingAdmissionPolicy: ResourceDeclaration<ValidatingAdmissionPolicy> = {
  ref: validatingAdmissionPolicies,
  categories,
  subresources: { status },
  columns: [
    nameColumn,
    integerColumn("Validations", ({ spec }) => spec.validations?.length ?? 0),
    paramKindColumn,
    ageColumn,
  ],
  strategy: {
    ...policyStrategy,
    hasStatus: true,
    statusApplyCreates: true,
    statusResets: [["metadata"]],
    applyDefaults: applyPolicyDefaults,
    validate: (policy) => validatePolicy(policy),
    validateUpdate: validatePolicy,
    validateStatusUpdate: validatePolicyStatus,
  },
};

export const validatingAdmissionPolicyBinding: ResourceDeclaration<ValidatingAdmissionPolicyBinding> = {
  ref: validatingAdmissionPolicyBindings,
  categories,
  columns: bindingColumns,
  strategy: {
    ...policyStrategy,
    applyDefaults: applyPolicyBindingDefaults,
    validate: validatePolicyBinding,
    validateUpdate: validatePolicyBinding,
  },
};

export const mutatingAdmissionPolicy: ResourceDeclaration<MutatingAdmissionPolicy> = {
  ref: mutatingAdmissionPolicies,
  categories,
  columns: [
    nameColumn,
    integerColumn("Mutations", ({ spec }) => spec.mutations?.length ?? 0),
    paramKindColumn,
    ageColumn,
  ],
  strategy: {
    ...policyStrategy,
    applyDefaults: applyMutatingPolicyDefaults,
    validate: (policy) => validateMutatingPolicy(policy),
    validateUpdate: validateMutatingPolicy,
  },
};

export const mutatingAdmissionPolicyBinding: ResourceDeclaration<MutatingAdmissionPolicyBinding> = {
  ref: mutatingAdmissionPolicyBindings,
  categories,
  columns: bindingColumns,
  strategy: {
    ...policyStrategy,
    applyDefaults: applyPolicyBindingDefaults,
    validate: validateMutatingPolicyBinding,
    validateUpdate: validateMutatingPolicyBinding,
  },
};
