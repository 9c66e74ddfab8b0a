import { pods, priorityClasses } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { PriorityClass } from "#shared/api/types/scheduling-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf, refusal } from "./attributes.ts";

/** Resolves a pod's priority class into its priority, and keeps to one global default class. */
export class Priority implements AdmissionPlugin {
  readonly name = "Priority";
  readonly resources = [pods, priorityClasses];

  constructor(private readonly reader: ResourceReader) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const pod = draftOf(attributes, pods);
    if (!pod?.spec) return;
    if (attributes.operation === "CREATE") this.#resolve(attributes, pod.spec);
    if (attributes.operation !== "UPDATE") return;
    const old = (attributes.oldObject as Pod | undefined)?.spec;
    pod.spec.priority ??= old?.priority;
    pod.spec.preemptionPolicy ??= old?.preemptionPolicy;
  }

  #resolve(attributes: AdmissionAttributes, spec: NonNullable<Pod["spec"]>): void {
    const chosen = this.#classFor(attributes, spec.priorityClassName ?? "");
    if (!spec.priorityClassName && chosen.name !== "") spec.priorityClassName = chosen.name;
    if (spec.priority !== undefined && spec.priority !== chosen.value)
      throw refusal(
        attributes,
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${chosen.value} from the given PriorityClass name`,
      );
    spec.priority = chosen.value;
    const { policy } = chosen;
    if (policy === undefined) return;
    if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy)
      throw refusal(
        attributes,
        `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
      );
    spec.preemptionPolicy = policy;
  }

  #classFor(
    attributes: AdmissionAttributes,
    name: string,
  ): { readonly name: string; readonly value: number; readonly policy: string | undefined } {
    const found = name === "" ? this.#globalDefault() : this.reader.get(priorityClasses, { name });
    if (found) return { name: found.metadata.name ?? "", value: found.value, policy: found.preemptionPolicy };
    if (name !== "") throw refusal(attributes, `no PriorityClass with name ${name} was found`);
    return { name: "", value: 0, policy: "PreemptLowerPriority" };
  }

  async validate(attributes: AdmissionAttributes): Promise<void> {
    const priorityClass = draftOf(attributes, priorityClasses);
    if (!priorityClass?.globalDefault) return;
    const present = this.#globalDefault();
    if (!present) return;
    if (attributes.operation === "UPDATE" && present.metadata.name === priorityClass.metadata.name) return;
    throw refusal(
      attributes,
      `PriorityClass ${present.metadata.name} is already marked as default. Only one default can exist`,
    );
  }

  /** Of several that a race let in, the lowest. */
  #globalDefault(): PriorityClass | undefined {
    return this.reader
      .list(priorityClasses)
      .filter((one) => one.globalDefault)
      .reduce<PriorityClass | undefined>(
        (lowest, one) => (lowest && lowest.value <= one.value ? lowest : one),
        undefined,
      );
  }
}
