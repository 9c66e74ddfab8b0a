import { networkPolicies } from "#shared/api/resources.ts";
import type { NetworkPolicy } from "#shared/api/types/networking-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, formatLabelSelector, nameColumn } from "../columns.ts";
import { applyNetworkPolicyDefaults, validateNetworkPolicy } from "./network-policy-rules.ts";

export const networkPolicy: ResourceDeclaration<NetworkPolicy> = {
  ref: networkPolicies,
  shortNames: ["netpol"],
  columns: [nameColumn, column("Pod-Selector", ({ spec }) => formatLabelSelector(spec.podSelector ?? {})), ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    hasGeneration: true,
    applyDefaults: applyNetworkPolicyDefaults,
    validate: (policy) => validateNetworkPolicy(policy),
    validateUpdate: validateNetworkPolicy,
  },
};
