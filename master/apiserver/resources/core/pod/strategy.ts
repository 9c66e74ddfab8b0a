import { rfc3339 } from "#shared/api/time.ts";
import type { Pod, PodAffinityTerm, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { LabelSelector } from "#shared/api/types/meta-v1.generated.ts";
import type { Strategy } from "../../../registry/declaration.ts";
import { isDns1123Label } from "../../validation/names.ts";
import { qosClass } from "./aggregate.ts";
import { adoptAppArmorAnnotations, appArmorWarnings } from "./app-armor.ts";
import { defaultPod, dropGatedPodFields } from "./defaults.ts";
import { preparePodStatus, validatePodStatus } from "./status.ts";
import { validatePodUpdate } from "./update.ts";
import { validatePod } from "./validate.ts";
import { podWarnings } from "./warnings.ts";

type Labels = Readonly<Record<string, string>> | undefined;

function addRequirements(
  selector: LabelSelector,
  keys: readonly string[] | undefined,
  operator: string,
  labels: Labels,
): void {
  for (const key of keys ?? []) {
    const value = labels?.[key];
    if (value === undefined) continue;
    selector.matchExpressions = [...(selector.matchExpressions ?? []), { key, operator, values: [value] }];
  }
}

/** matchLabelKeys become requirements of the selector beside them, from the pod's own labels (KEP-3633, KEP-3243). */
function resolveLabelKeys(spec: PodSpec, labels: Labels): void {
  const resolve = ({ labelSelector, matchLabelKeys, mismatchLabelKeys }: PodAffinityTerm): void => {
    if (labelSelector === undefined) return;
    addRequirements(labelSelector, matchLabelKeys, "In", labels);
    addRequirements(labelSelector, mismatchLabelKeys, "NotIn", labels);
  };
  for (const rules of [spec.affinity?.podAffinity, spec.affinity?.podAntiAffinity]) {
    for (const { podAffinityTerm } of rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
      if (podAffinityTerm) resolve(podAffinityTerm);
    }
    for (const term of rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []) resolve(term);
  }
  for (const { labelSelector, matchLabelKeys } of spec.topologySpreadConstraints ?? []) {
    if (labelSelector) addRequirements(labelSelector, matchLabelKeys, "In", labels);
  }
}

export const podStrategy: Strategy<Pod> = {
  judgesNameOnUpdate: true,
  hasStatus: true,
  hasGeneration: true,
  answersDeleteWithObject: true,
  applyDefaults: defaultPod,
  prepareForCreate(draft) {
    draft.status = { phase: "Pending", qosClass: qosClass(draft.spec) };
    if (draft.spec.schedulingGates?.length) {
      draft.status.conditions = [
        {
          type: "PodScheduled",
          status: "False",
          lastTransitionTime: rfc3339(Date.now()),
          reason: "SchedulingGated",
          message: "Scheduling is blocked due to non-empty scheduling gates",
        },
      ];
    }
    adoptAppArmorAnnotations(draft);
    dropGatedPodFields(draft.spec);
    resolveLabelKeys(draft.spec, draft.metadata.labels);
  },
  prepareForUpdate: ({ spec }, old) => dropGatedPodFields(spec, old.spec),
  prepareForStatusUpdate: preparePodStatus,
  statusResets: [
    ["metadata", "deletionTimestamp"],
    ["metadata", "ownerReferences"],
  ],
  validate: validatePod,
  validateUpdate: validatePodUpdate,
  validateStatusUpdate: validatePodStatus,
  warnings(pod, old) {
    if (old !== undefined) return [];
    const errors = isDns1123Label(pod.metadata.name ?? "");
    const why =
      "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended";
    return [
      ...(errors.length === 0 ? [] : [`metadata.name: ${why}: [${errors.join(" ")}]`]),
      ...appArmorWarnings(pod),
      ...podWarnings(pod, ""),
    ];
  },
  /** A pod that is bound to no node, or has ended, needs nobody to stop it. */
  gracePeriodSeconds({ spec, status }, requested) {
    if (!spec.nodeName || status?.phase === "Failed" || status?.phase === "Succeeded") return 0;
    const period = requested ?? spec.terminationGracePeriodSeconds ?? 0;
    return period < 0 ? 1 : period;
  },
};
