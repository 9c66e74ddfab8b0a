import { networkPolicies } from "#shared/api/resources.ts";
import type { NetworkPolicy, NetworkPolicyPeer } from "#shared/api/types/networking-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, formatLabelSelector, nameColumn } from "../columns.ts";
import { eachWarned, rangeWarnings } from "../validation/warned-values.ts";
import { applyNetworkPolicyDefaults, validateNetworkPolicy } from "./network-policy-rules.ts";

function networkPolicyWarnings({ spec }: NetworkPolicy): string[] {
  const blocks = (peers: readonly NetworkPolicyPeer[] | undefined, at: string): string[] =>
    (peers ?? []).flatMap(({ ipBlock }, index) =>
      ipBlock === undefined
        ? []
        : [
            ...rangeWarnings(ipBlock.cidr, `${at}[${index}].ipBlock.cidr`),
            ...eachWarned(ipBlock.except, `${at}[${index}].ipBlock.except`, rangeWarnings),
          ],
    );
  return [
    ...(spec?.ingress ?? []).flatMap(({ from }, index) => blocks(from, `spec.ingress[${index}].from`)),
    ...(spec?.egress ?? []).flatMap(({ to }, index) => blocks(to, `spec.egress[${index}].to`)),
  ];
}

export const networkPolicy: ResourceDeclaration<NetworkPolicy> = {
  ref: networkPolicies,
  shortNames: ["netpol"],
  columns: [nameColumn, column("Pod-Selector", ({ spec }) => formatLabelSelector(spec.podSelector ?? {})), ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    hasGeneration: true,
    applyDefaults: applyNetworkPolicyDefaults,
    warnings: networkPolicyWarnings,
    validate: (policy) => validateNetworkPolicy(policy),
    validateUpdate: validateNetworkPolicy,
  },
};
