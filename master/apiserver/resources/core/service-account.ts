import type { KubeObject } from "#shared/api/object.ts";
import { serviceAccounts } from "#shared/api/resources.ts";
import type { ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, nameColumn } from "../columns.ts";

/** Of a secret's reference only the name counts. */
function cleanSecrets(draft: ServiceAccount): void {
  if (draft.secrets) draft.secrets = draft.secrets.map(({ name }) => (name === undefined ? {} : { name }));
}

/** Of a token whose request names none. */
export const defaultTokenLifetime_s = 3600;

const enforceAnnotation = "kubernetes.io/enforce-mountable-secrets";

export const serviceAccount: ResourceDeclaration<ServiceAccount> = {
  ref: serviceAccounts,
  shortNames: ["sa"],
  subresources: {
    token: {
      verbs: ["create"],
      body: { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" },
      applyBodyDefaults: (body) => {
        const request = body as KubeObject & { spec?: object };
        const spec = { audiences: null, expirationSeconds: defaultTokenLifetime_s, boundObjectRef: null };
        request.spec = { ...spec, ...request.spec };
      },
    },
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
