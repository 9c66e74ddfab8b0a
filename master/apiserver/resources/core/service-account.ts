import { serviceAccounts } from "#shared/api/resources.ts";
import type { ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, nameColumn } from "../columns.ts";

/** Of a secret's reference only the name counts. */
function cleanSecrets(draft: ServiceAccount): void {
  if (draft.secrets) draft.secrets = draft.secrets.map(({ name }) => (name === undefined ? {} : { name }));
}

const enforceAnnotation = "kubernetes.io/enforce-mountable-secrets";

export const serviceAccount: ResourceDeclaration<ServiceAccount> = {
  ref: serviceAccounts,
  shortNames: ["sa"],
  subresources: {
    token: { verbs: ["create"], body: { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" } },
  },
  columns: [nameColumn, ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    prepareForCreate: cleanSecrets,
    prepareForUpdate: cleanSecrets,
    // Told when it comes, and when it changes.
    warnings: ({ metadata }, old) => {
      const [after, before] = [metadata, old?.metadata].map((each) => each?.annotations?.[enforceAnnotation]);
      if (after === undefined || after === before) return [];
      return [
        `metadata.annotations[${enforceAnnotation}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`,
      ];
    },
  },
};
