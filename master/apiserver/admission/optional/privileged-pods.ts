import { type FieldError, invalid } from "#shared/api/errors.ts";
import { pods } from "#shared/api/resources.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { draftOf } from "../attributes.ts";

/** No pod has privileged containers (--allow-privileged=false); those that are there stay. */
export class PrivilegedPods implements AdmissionPlugin {
  readonly name = "PrivilegedPods";
  readonly resources = [pods];

  validate(attributes: AdmissionAttributes): undefined {
    const { operation, name } = attributes;
    const pod = draftOf(attributes, pods);
    if (operation !== "CREATE" || !pod?.spec) return;
    const { initContainers = [], containers } = pod.spec;
    const lists = { initContainers, containers };
    const faults = Object.entries(lists).flatMap(([field, list]) =>
      list.flatMap(({ securityContext }, index): FieldError[] =>
        securityContext?.privileged
          ? [
              {
                field: `spec.${field}[${index}].securityContext.privileged`,
                reason: "FieldValueForbidden",
                message: "Forbidden: disallowed by cluster policy",
              },
            ]
          : [],
      ),
    );
    if (faults.length > 0) throw invalid(pods, name || pod.metadata.name || "", faults);
  }
}
