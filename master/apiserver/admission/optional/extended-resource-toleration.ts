import { pods } from "#shared/api/resources.ts";
import { isQualifiedName } from "../../resources/validation/names.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { draftOf } from "../attributes.ts";
import { withToleration } from "./tolerations.ts";

/** A pod that asks for devices tolerates the taint with which boards that have them keep other pods away. */
export class ExtendedResourceToleration implements AdmissionPlugin {
  readonly name = "ExtendedResourceToleration";
  readonly resources = [pods];

  mutate(attributes: AdmissionAttributes): undefined {
    const spec = draftOf(attributes, pods)?.spec;
    if (!spec) return;
    const asked = [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ resources }) =>
      Object.keys(resources?.requests ?? {}).filter(isExtendedResource),
    );
    for (const key of [...new Set(asked)].sort())
      spec.tolerations = withToleration(spec.tolerations ?? [], { key, operator: "Exists", effect: "NoSchedule" });
  }
}

const isExtendedResource = (name: string): boolean =>
  name.includes("/") &&
  !name.includes("kubernetes.io/") &&
  !name.startsWith("requests.") &&
  isQualifiedName(`requests.${name}`).length === 0;
