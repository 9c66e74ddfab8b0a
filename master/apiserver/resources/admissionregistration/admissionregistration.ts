import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  mutatingWebhookConfigurations,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  validatingWebhookConfigurations,
} from "#shared/api/resources.ts";
import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, integerColumn, nameColumn, selectorText } from "../columns.ts";
import { status } from "../subresources.ts";
import {
  applyPolicyBindingDefaults,
  applyPolicyDefaults,
  validatePolicy,
  validatePolicyBinding,
  validatePolicyStatus,
} from "./policy-rules.ts";
import { applyMutatingWebhookDefaults, applyWebhookDefaults, validateWebhooks } from "./webhook-rules.ts";

const categories = ["api-extensions"];

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
    column("ParamKind", ({ spec: { paramKind } }) =>
      paramKind === undefined ? "<unset>" : `${paramKind.apiVersion ?? ""}/${paramKind.kind ?? ""}`,
    ),
    ageColumn,
  ],
  strategy: {
    metadataRules: "names",
    judgesNameOnUpdate: true,
    hasStatus: true,
    statusApplyCreates: true,
    statusResets: [["metadata"]],
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    applyDefaults: applyPolicyDefaults,
    validate: (policy) => validatePolicy(policy),
    validateUpdate: validatePolicy,
    validateStatusUpdate: validatePolicyStatus,
  },
};

export const validatingAdmissionPolicyBinding: ResourceDeclaration<ValidatingAdmissionPolicyBinding> = {
  ref: validatingAdmissionPolicyBindings,
  categories,
  columns: [
    nameColumn,
    column("PolicyName", ({ spec }) => spec.policyName ?? ""),
    column("ParamRef", ({ spec: { paramRef } }) => {
      if (paramRef?.name) return `${paramRef.namespace || "*"}/${paramRef.name}`;
      return paramRef?.selector ? (selectorText(paramRef.selector) ?? "") : "<unset>";
    }),
    ageColumn,
  ],
  strategy: {
    metadataRules: "names",
    judgesNameOnUpdate: true,
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    applyDefaults: applyPolicyBindingDefaults,
    validate: validatePolicyBinding,
    validateUpdate: validatePolicyBinding,
  },
};
