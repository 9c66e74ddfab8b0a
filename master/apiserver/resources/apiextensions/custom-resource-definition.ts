import { customResourceDefinitions } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionStatus,
} from "#shared/api/types/apiextensions-v1.generated.ts";
import { cleanupFinalizer, withConditions } from "../../extensions/definition-status.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { createdAtColumn, nameColumn } from "../columns.ts";
import { unprintedStatus as status } from "../subresources.ts";
import {
  validateDefinition,
  validateDefinitionName,
  validateDefinitionStatusUpdate,
  validateDefinitionUpdate,
} from "./definition-rules.ts";
import { unknownFormats } from "./schema-walk.ts";

/** The version that objects are stored in now is among those that were ever stored. */
function rememberStoredVersion(draft: CustomResourceDefinition): void {
  const storage = draft.spec.versions?.find((version) => version.storage)?.name;
  const state = { ...draft.status } as CustomResourceDefinitionStatus;
  const stored = state.storedVersions ?? [];
  if (storage === undefined || stored.includes(storage)) return;
  draft.status = { ...state, storedVersions: [...stored, storage] };
}

export const customResourceDefinition: ResourceDeclaration<CustomResourceDefinition> = {
  ref: customResourceDefinitions,
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  subresources: { status },
  columns: [nameColumn, createdAtColumn],
  strategy: {
    hasStatus: true,
    statusResetFields: ["spec", "metadata"],
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    defaultPropagation: "Unsupported",
    metadataRules: "names",
    applyDefaults(draft) {
      draft.spec ??= {} as CustomResourceDefinitionSpec;
      draft.spec.names ??= {} as CustomResourceDefinitionNames;
      const { names } = draft.spec;
      names.singular ||= (names.kind ?? "").toLowerCase();
      if (names.kind) names.listKind ||= `${names.kind}List`;
      draft.spec.conversion ??= { strategy: "None" };
      const { webhook } = draft.spec.conversion;
      // Upstream's internal form has no place for a webhook of which nothing is known.
      if (webhook && !webhook.clientConfig && !webhook.conversionReviewVersions?.length)
        delete draft.spec.conversion.webhook;
      const service = webhook?.clientConfig?.service;
      if (service) service.port ??= 443;
      // A status without any is read as one that knows of today's.
      if (!draft.status?.storedVersions?.length) rememberStoredVersion(draft);
    },
    prepareForCreate: rememberStoredVersion,
    prepareForUpdate: rememberStoredVersion,
    validateName: () => [],
    validate: (object) => [...validateDefinitionName(object), ...validateDefinition(object)],
    validateUpdate: validateDefinitionUpdate,
    validateStatusUpdate: validateDefinitionStatusUpdate,
    warnings(object, old) {
      const known = new Set(old ? unknownFormats(old.spec) : []);
      return unknownFormats(object.spec)
        .filter((format) => !known.has(format))
        .map((format) => `unrecognized format ${JSON.stringify(format)}`);
    },
    // The first delete only begins it: the objects go before their definition.
    isRemovable: ({ metadata }) => metadata.deletionTimestamp !== undefined,
    prepareForDelete(draft) {
      const finalizers = draft.metadata.finalizers ?? [];
      if (!finalizers.includes(cleanupFinalizer)) draft.metadata.finalizers = [...finalizers, cleanupFinalizer];
      const pending = {
        type: "Terminating",
        status: "True",
        reason: "InstanceDeletionPending",
        message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
      } as const;
      const { status: marked } = withConditions(draft, [pending], rfc3339(Date.now()));
      if (marked) draft.status = marked;
      delete draft.metadata.deletionGracePeriodSeconds;
    },
  },
};
