import { podTemplates } from "#shared/api/resources.ts";
import type { PodTemplate } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { column, formatLabels, nameColumn } from "../columns.ts";
import { collect, semanticEqual } from "../validation/field.ts";
import { defaultPodTemplate, withPodTemplate } from "./pod/defaults.ts";
import { validatePodTemplate } from "./pod/validate.ts";
import { podWarnings } from "./pod/warnings.ts";

export const podTemplate: ResourceDeclaration<PodTemplate> = {
  ref: podTemplates,
  columns: [
    nameColumn,
    column("Containers", ({ template }) => (template?.spec?.containers ?? []).map(({ name }) => name).join(",")),
    column("Images", ({ template }) => (template?.spec?.containers ?? []).map(({ image }) => image ?? "").join(",")),
    column("Pod Labels", ({ template }) => formatLabels(template?.metadata?.labels)),
  ],
  strategy: withPodTemplate<PodTemplate>(({ template }) => template, {
    answersDeleteWithObject: true,
    hasGeneration: true,
    generationBasis: ({ template }) => template,
    warnings: ({ template }, old) =>
      template && !(old && semanticEqual(template, old.template)) ? podWarnings(template, "template") : [],
    applyDefaults(draft) {
      draft.template ??= {};
      defaultPodTemplate(draft.template);
    },
    validate: ({ template }) => collect((root) => validatePodTemplate(template, root.at("template"))),
    validateUpdate: ({ template }) => collect((root) => validatePodTemplate(template, root.at("template"))),
  }),
};
