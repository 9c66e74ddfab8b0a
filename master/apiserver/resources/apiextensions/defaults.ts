import type { CustomResourceDefinition } from "#shared/api/types/apiextensions-v1.generated.ts";

/** SetDefaults_CustomResourceDefinition of apiextensions-apiserver. */
export function applyDefinitionDefaults(draft: CustomResourceDefinition): void {
  const { names } = draft.spec;
  names.singular ||= names.kind.toLowerCase();
  if (names.kind !== "") names.listKind ||= `${names.kind}List`;
  draft.spec.conversion ??= { strategy: "None" };
  const service = draft.spec.conversion.webhook?.clientConfig?.service;
  if (service) service.port ??= 443;
  if (!draft.status?.storedVersions?.length) keepStoredVersion(draft);
}

/** The version that objects are stored in from now on belongs to those that may be found in the store. */
export function keepStoredVersion(draft: CustomResourceDefinition): void {
  const stored = draft.spec.versions?.find(({ storage }) => storage)?.name;
  const known = draft.status?.storedVersions ?? [];
  if (stored === undefined || known.includes(stored)) return;
  draft.status = { ...draft.status, storedVersions: [...known, stored] };
}
