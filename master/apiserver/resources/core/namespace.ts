import type { FieldError } from "#shared/api/errors.ts";
import { namespaces } from "#shared/api/resources.ts";
import type { Namespace } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { collect } from "../validation/field.ts";
import { isDns1123Label } from "../validation/names.ts";
import { validateFinalizerName, validateStandardFinalizer } from "../validation/object-meta.ts";

const nameLabel = "kubernetes.io/metadata.name";

/** What selectors of namespaces go by, those of webhooks and of network policies too. */
function labelByName({ metadata }: Namespace): void {
  metadata.labels = { ...metadata.labels, [nameLabel]: metadata.name ?? "" };
}

function validate({ spec }: Namespace): FieldError[] {
  return collect((root) => {
    for (const name of spec.finalizers ?? []) {
      validateFinalizerName(name, root.at("spec", "finalizers"));
      validateStandardFinalizer(name, root.at("spec", "finalizers"));
    }
  });
}

function validateStatusUpdate({ metadata, status: after }: Namespace): FieldError[] {
  return collect((root) => {
    const field = root.at("status", "Phase");
    const phase = after?.phase ?? "";
    if (metadata.deletionTimestamp === undefined) {
      if (phase !== "Active") field.invalid(phase, "may only be 'Active' if `deletionTimestamp` is empty");
    } else if (phase !== "Terminating") {
      field.invalid(phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
    }
  });
}

/** The only way to take finalizers of the spec away. */
const finalizeUpdate = {
  prepare(draft: Namespace, old: Readonly<Namespace>): void {
    if (old.status) draft.status = old.status;
  },
  validate: ({ spec }: Namespace): FieldError[] =>
    collect((root) => {
      for (const [index, name] of (spec.finalizers ?? []).entries()) {
        validateFinalizerName(name, root.at("spec", "finalizers").index(index));
        validateStandardFinalizer(name, root.at("spec", "finalizers").index(index));
      }
    }),
};

export const namespace: ResourceDeclaration<Namespace> = {
  ref: namespaces,
  shortNames: ["ns"],
  verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
  subresources: { finalize: { verbs: ["update"], update: finalizeUpdate }, status },
  columns: [nameColumn, column("Status", (object) => object.status?.phase), ageColumn],
  refusesNamespaceField: true,
  selectableFields: { "status.phase": (object) => object.status?.phase ?? "" },
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    hasStatus: true,
    validateName: isDns1123Label,
    applyDefaults(draft) {
      draft.spec ??= {};
      if (draft.metadata.name) labelByName(draft);
      draft.status ??= {};
      draft.status.phase ||= "Active";
    },
    prepareForCreate(draft) {
      draft.status = { phase: "Active" };
      const finalizers = draft.spec.finalizers ?? [];
      if (!finalizers.includes("kubernetes")) draft.spec.finalizers = [...finalizers, "kubernetes"];
    },
    // A name that was made for generateName was not known yet when defaults were set.
    completeCreated: labelByName,
    prepareForUpdate(draft, old) {
      if (old.spec.finalizers === undefined) delete draft.spec.finalizers;
      else draft.spec.finalizers = [...old.spec.finalizers];
    },
    validate,
    validateUpdate: validate,
    validateStatusUpdate,
    /** Deletion begins with the phase, so that nothing new is created in it. */
    prepareForDelete(draft) {
      draft.status = { ...draft.status, phase: "Terminating" };
      delete draft.metadata.deletionGracePeriodSeconds;
    },
    isRemovable: ({ spec }) => !spec.finalizers?.length,
  },
};
