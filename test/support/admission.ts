import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../../master/apiserver/admission/admission.ts";

/** Attributes of a write as the API server would hand them to a plugin. */
export function writeOf<T extends KubeObject>(
  ref: ResourceRef<T>,
  object: T | undefined,
  more: Partial<AdmissionAttributes> = {},
): AdmissionAttributes {
  return {
    operation: "CREATE",
    declaration: { ref },
    namespace: object?.metadata.namespace,
    name: object?.metadata.name ?? "",
    object,
    options: {},
    user: { name: "anna", groups: ["developers", "system:authenticated"] },
    dryRun: false,
    warnings: [],
    auditAnnotations: {},
    ...more,
  };
}

/** Runs one plugin as the chain does: it mutates, guards, then validates. */
export async function admit(plugin: AdmissionPlugin, attributes: AdmissionAttributes): Promise<void> {
  await plugin.mutate?.(attributes);
  await plugin.guard?.(attributes);
  await plugin.validate?.(attributes);
}
