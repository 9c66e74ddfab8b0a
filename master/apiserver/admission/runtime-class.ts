import { canonicalQuantity } from "#shared/api/quantity.ts";
import { pods, runtimeClasses } from "#shared/api/resources.ts";
import type { Pod, Toleration } from "#shared/api/types/core-v1.generated.ts";
import type { RuntimeClass } from "#shared/api/types/node-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf, refusal } from "./attributes.ts";

/** A pod takes overhead, node selector and tolerations from its RuntimeClass. */
export class RuntimeClassPlugin implements AdmissionPlugin {
  readonly name = "RuntimeClass";
  readonly resources = [pods];

  constructor(private readonly reader: ResourceReader) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const pod = this.#podOf(attributes);
    const runtimeClass = pod && this.#classOf(attributes, pod);
    if (!pod?.spec || !runtimeClass) return;
    const { overhead, scheduling } = runtimeClass;
    if (overhead) {
      const isSet = Object.keys(pod.spec.overhead ?? {}).length > 0;
      if (isSet && !isSameOverhead(pod, runtimeClass)) throw mismatch(attributes);
      pod.spec.overhead = { ...overhead.podFixed };
    }
    if (!scheduling) return;
    const selector = { ...pod.spec.nodeSelector };
    for (const [key, value] of Object.entries(scheduling.nodeSelector ?? {})) {
      if (selector[key] !== undefined && selector[key] !== value)
        throw refusal(
          attributes,
          `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${selector[key]}`,
        );
      selector[key] = value;
    }
    if (Object.keys(selector).length > 0) pod.spec.nodeSelector = selector;
    const tolerations = mergeTolerations(pod.spec.tolerations ?? [], scheduling.tolerations ?? []);
    if (tolerations.length > 0) pod.spec.tolerations = tolerations;
  }

  async validate(attributes: AdmissionAttributes): Promise<void> {
    const pod = this.#podOf(attributes);
    if (!pod) return;
    const runtimeClass = this.#classOf(attributes, pod);
    if (runtimeClass?.overhead) {
      if (!isSameOverhead(pod, runtimeClass)) throw mismatch(attributes);
    } else if (pod.spec?.overhead !== undefined)
      throw refusal(attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
  }

  #podOf(attributes: AdmissionAttributes): Pod | undefined {
    return attributes.operation === "CREATE" ? draftOf(attributes, pods) : undefined;
  }

  #classOf(attributes: AdmissionAttributes, { spec }: Pod): RuntimeClass | undefined {
    const name = spec?.runtimeClassName;
    if (name === undefined) return undefined;
    const found = this.reader.get(runtimeClasses, { name });
    if (!found) throw refusal(attributes, `pod rejected: RuntimeClass "${name}" not found`);
    return found;
  }
}

const mismatch = (attributes: AdmissionAttributes) =>
  refusal(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");

function isSameOverhead({ spec }: Pod, { overhead }: RuntimeClass): boolean {
  const canonical = (list: Readonly<Record<string, string | number>> | undefined) =>
    Object.fromEntries(Object.entries(list ?? {}).map(([name, value]) => [name, canonicalQuantity(value)]));
  return Bun.deepEquals(canonical(overhead?.podFixed), canonical(spec?.overhead));
}

/** Both lists, without those that another of them already covers. */
function mergeTolerations(first: readonly Toleration[], second: readonly Toleration[]): Toleration[] {
  const all = [...second, ...first];
  return all.filter(
    (toleration, index) =>
      !all.some(
        (other, otherIndex) =>
          otherIndex !== index &&
          isSuperset(other, toleration) &&
          (otherIndex < index || !isSuperset(toleration, other)),
      ),
  );
}

function isSuperset(wide: Toleration, narrow: Toleration): boolean {
  if (Bun.deepEquals(wide, narrow)) return true;
  if (wide.key !== narrow.key && !(!wide.key && wide.operator === "Exists")) return false;
  if (wide.effect !== narrow.effect && wide.effect) return false;
  if (wide.effect === "NoExecute") {
    if (wide.tolerationSeconds !== undefined && narrow.tolerationSeconds === undefined) return false;
    if ((wide.tolerationSeconds ?? Number.POSITIVE_INFINITY) < (narrow.tolerationSeconds ?? 0)) return false;
  }
  if (wide.operator === "Exists") return true;
  return narrow.operator !== "Exists" && (wide.value ?? "") === (narrow.value ?? "");
}
