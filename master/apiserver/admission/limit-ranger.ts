import { joinErrors } from "#shared/api/joined-errors.ts";
import { limitRanges, persistentVolumeClaims, pods } from "#shared/api/resources.ts";
import type { Container, LimitRange, PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf, isWriteTo, refusal } from "./attributes.ts";
import { claimLimitProblems, podLimitProblems } from "./limit-range-rules.ts";

const annotation = "kubernetes.io/limit-ranger";

/** Gives containers the requests and limits that a namespace's LimitRanges set as default, and refuses pods and claims
 *  outside their bounds. */
export class LimitRanger implements AdmissionPlugin {
  readonly name = "LimitRanger";
  readonly resources = [pods, persistentVolumeClaims];

  constructor(private readonly reader: ResourceReader) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const pod = podOf(attributes);
    if (!pod) return;
    for (const range of this.#rangesOf(attributes)) applyDefaults(pod, range);
  }

  async validate(attributes: AdmissionAttributes): Promise<void> {
    if (attributes.oldObject?.metadata.deletionTimestamp !== undefined) return;
    const pod = podOf(attributes);
    const claim = draftOf(attributes, persistentVolumeClaims);
    if (!pod && !claim) return;
    for (const range of this.#rangesOf(attributes)) {
      const problems = pod ? podLimitProblems(range, pod) : claimLimitProblems(range, claim as PersistentVolumeClaim);
      if (problems.length > 0) throw refusal(attributes, joinErrors(problems));
    }
  }

  #rangesOf({ namespace }: AdmissionAttributes): readonly LimitRange[] {
    // One may stand there without any limits.
    return namespace ? this.reader.list(limitRanges, namespace).filter(({ spec }) => spec?.limits) : [];
  }
}

/** A pod whose containers can still be given resources: on create, and on its resize. */
function podOf(attributes: AdmissionAttributes): Pod | undefined {
  const isResize = attributes.operation === "UPDATE" && isWriteTo(attributes, pods, "resize");
  if (isResize) return attributes.object as Pod | undefined;
  return attributes.operation === "CREATE" ? draftOf(attributes, pods) : undefined;
}

function applyDefaults(pod: Pod, range: LimitRange): void {
  const ofContainers = range.spec.limits.filter((limit) => limit.type === "Container");
  const requests = Object.assign({}, ...ofContainers.map((limit) => limit.defaultRequest ?? {}));
  const limits = Object.assign({}, ...ofContainers.map((limit) => limit.default ?? {}));
  const notes: string[] = [];
  const fill = (container: Container, what: string): void => {
    const missing = (defaults: object, present: object | undefined) =>
      Object.keys(defaults)
        .filter((name) => !Object.hasOwn(present ?? {}, name))
        .sort();
    const newRequests = missing(requests, container.resources?.requests);
    const newLimits = missing(limits, container.resources?.limits);
    if (newRequests.length === 0 && newLimits.length === 0) return;
    container.resources = {
      ...container.resources,
      ...(newLimits.length > 0 ? { limits: { ...limits, ...container.resources?.limits } } : {}),
      ...(newRequests.length > 0 ? { requests: { ...requests, ...container.resources?.requests } } : {}),
    };
    if (newRequests.length > 0) notes.push(`${newRequests.join(", ")} request for ${what} ${container.name}`);
    if (newLimits.length > 0) notes.push(`${newLimits.join(", ")} limit for ${what} ${container.name}`);
  };
  for (const container of pod.spec?.containers ?? []) fill(container, "container");
  for (const container of pod.spec?.initContainers ?? []) fill(container, "init container");
  if (notes.length > 0)
    pod.metadata.annotations = {
      ...pod.metadata.annotations,
      [annotation]: `LimitRanger plugin set: ${notes.join("; ")}`,
    };
}
