/** What workloads ask of the pod template in them. */
import type { PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import type { LabelSelector } from "#shared/api/types/meta-v1.generated.ts";
import type { Field } from "../validation/field.ts";
import { selects } from "../validation/selectors.ts";
import { validatePodTemplate, validateTemplateMetadata } from "./pod/validate.ts";

/** A template whose pods run on and on: RestartPolicy Always, no deadline, and its labels are what the selector picks. */
export function validateLastingTemplate(
  template: PodTemplateSpec | undefined,
  selector: LabelSelector | undefined,
  kind: string,
  field: Field,
  { isPodUnjudged = false }: { readonly isPodUnjudged?: boolean } = {},
): void {
  // No selector picks nothing, an empty one everything.
  if (selector === undefined || !selects(selector, template?.metadata?.labels)) {
    const labels = template?.metadata?.labels;
    const printed = labels && Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
    field.at("metadata", "labels").invalid(printed, "`selector` does not match template `labels`");
  }
  if (isPodUnjudged) validateTemplateMetadata(template, field);
  else validatePodTemplate(template, field);
  if (template?.spec?.restartPolicy !== "Always") {
    field.at("spec", "restartPolicy").notSupported(template?.spec?.restartPolicy ?? "", ["Always"]);
  }
  if (template?.spec?.activeDeadlineSeconds !== undefined) {
    field.at("spec", "activeDeadlineSeconds").forbidden(`activeDeadlineSeconds in ${kind} is not Supported`);
  }
}
