import { serviceAccounts } from "#shared/api/resources.ts";
import type { ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, nameColumn } from "../columns.ts";

/** Of a secret's reference only the name counts. */
function cleanSecrets(draft: ServiceAccount): void {
  if (draft.secrets) draft.secrets = draft.secrets.map(({ name }) => (name === undefined ? {} : { name }));
}

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
  },
};
