import type { FieldError } from "#shared/api/errors.ts";
import { runtimeClasses } from "#shared/api/resources.ts";
import type { Toleration } from "#shared/api/types/core-v1.generated.ts";
import type { RuntimeClass } from "#shared/api/types/node-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { validateContainerResources } from "../core/pod/validate-resources.ts";
import { validateTolerations } from "../core/pod/validate-scheduling.ts";
import { collect, type Field, immutable } from "../validation/field.ts";
import { isDns1123Label } from "../validation/names.ts";
import { validateLabels } from "../validation/object-meta.ts";
import { oldLabelWarning } from "../validation/warned-values.ts";

const validate = ({ handler, overhead, scheduling }: RuntimeClass): FieldError[] =>
  collect((root) => {
    root.at("handler").invalidEach(handler, isDns1123Label(handler));
    if (overhead) validateContainerResources({ limits: overhead.podFixed ?? {} }, new Set(), root.at("overhead"));
    if (!scheduling) return;
    const field = root.at("scheduling");
    validateLabels(scheduling.nodeSelector, field.at("nodeSelector"));
    validateTolerations(scheduling.tolerations, field.at("tolerations"));
    validateDistinct(scheduling.tolerations ?? [], field.at("tolerations"));
  });

function validateDistinct(tolerations: readonly Toleration[], field: Field): void {
  const seen = new Set<string>();
  for (const [index, toleration] of tolerations.entries()) {
    const { key = "", operator = "", value = "", effect = "", tolerationSeconds } = toleration;
    const tuple = JSON.stringify([key, operator, value, effect]);
    // Printed with the names of Go's fields.
    const shown = { Key: key, Operator: operator, Value: value, Effect: effect };
    if (seen.has(tuple)) field.index(index).duplicate({ ...shown, TolerationSeconds: tolerationSeconds ?? null });
    seen.add(tuple);
  }
}

export const runtimeClass: ResourceDeclaration<RuntimeClass> = {
  ref: runtimeClasses,
  columns: [nameColumn, column("Handler", ({ handler }) => handler), ageColumn],
  strategy: {
    metadataRules: "names",
    judgesNameOnUpdate: true,
    allowCreateOnUpdate: true,
    allowUnconditionalUpdate: false,
    warnings: ({ scheduling }) =>
      Object.keys(scheduling?.nodeSelector ?? {}).flatMap((label) => {
        const why = oldLabelWarning(label);
        return why === undefined ? [] : [`scheduling.nodeSelector: ${why}`];
      }),
    validate,
    validateUpdate: (object, old) => [
      ...validate(object),
      ...collect((root) => immutable(object.handler ?? "", old.handler, root.at("handler"))),
    ],
  },
};
