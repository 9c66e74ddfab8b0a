import { matchesNodeSelection } from "#shared/api/scheduling/node-affinity.ts";
import { keepsPodsAway, untoleratedTaint, wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { DaemonSet } from "#shared/api/types/apps-v1.generated.ts";
import type { Affinity, Node, Pod, PodSpec, PodTemplateSpec, Toleration } from "#shared/api/types/core-v1.generated.ts";
import { podRevisionLabel } from "../history/controller-revision.ts";

const templateGenerationAnnotation = "deprecated.daemonset.template.generation";
const templateGenerationLabel = "pod-template-generation";

/** Taints that say something about a node's state, which a daemon stands by. */
const stoodBy: readonly { readonly key: string; readonly effect: string }[] = [
  { key: wellKnownTaints.notReady, effect: "NoExecute" },
  { key: wellKnownTaints.unreachable, effect: "NoExecute" },
  { key: wellKnownTaints.diskPressure, effect: "NoSchedule" },
  { key: wellKnownTaints.memoryPressure, effect: "NoSchedule" },
  { key: wellKnownTaints.pidPressure, effect: "NoSchedule" },
  { key: wellKnownTaints.unschedulable, effect: "NoSchedule" },
];

/** The template's tolerations and those of every daemon. */
function daemonTolerations({ tolerations = [], hostNetwork }: PodSpec): Toleration[] {
  const added = hostNetwork ? [...stoodBy, { key: wellKnownTaints.networkUnavailable, effect: "NoSchedule" }] : stoodBy;
  const isAdded = ({ key, operator, value, effect }: Toleration): boolean =>
    operator === "Exists" && !value && added.some((one) => one.key === key && one.effect === effect);
  return [
    ...tolerations.filter((toleration) => !isAdded(toleration)),
    ...added.map(({ key, effect }) => ({ key, operator: "Exists", effect })),
  ];
}

export interface NodeVerdict {
  /** A new daemon should be made. */
  readonly shouldRun: boolean;
  /** One that is there may stay: a taint that only keeps new pods away drives none out. */
  readonly shouldStay: boolean;
}

/** Whether a daemon belongs on the node (pure). */
export function judgeNode(daemonSet: DaemonSet, node: Node): NodeVerdict {
  const spec = daemonSet.spec.template.spec ?? { containers: [] };
  const name = node.metadata.name ?? "";
  const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: {}, spec };
  if ((spec.nodeName && spec.nodeName !== name) || !matchesNodeSelection(pod, node))
    return { shouldRun: false, shouldStay: false };
  const tolerations = daemonTolerations(spec);
  const { taints } = node.spec ?? {};
  const shouldRun = !untoleratedTaint(taints, tolerations, keepsPodsAway);
  const shouldStay = !untoleratedTaint(taints, tolerations, ({ effect }) => effect === "NoExecute");
  return { shouldRun, shouldStay };
}

/** The template's number as older clients knew it. */
const templateGenerationOf = ({ metadata }: DaemonSet): string | undefined => {
  const text = metadata.annotations?.[templateGenerationAnnotation];
  return text !== undefined && /^-?\d+$/.test(text) ? text : undefined;
};

/** The template of the daemon for one node: bound to it by affinity, so that the scheduler places it. */
export function daemonTemplate(daemonSet: DaemonSet, hash: string, node: string): PodTemplateSpec {
  const { metadata, spec = { containers: [] } } = daemonSet.spec.template;
  const generation = templateGenerationOf(daemonSet);
  return {
    metadata: {
      ...metadata,
      labels: {
        ...metadata?.labels,
        ...(generation === undefined ? {} : { [templateGenerationLabel]: generation }),
        [podRevisionLabel]: hash,
      },
    },
    spec: { ...spec, tolerations: daemonTolerations(spec), affinity: pinnedTo(node, spec.affinity) },
  };
}

function pinnedTo(node: string, affinity: Affinity | undefined): Affinity {
  const nodeSelectorTerms = [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }];
  return {
    ...affinity,
    nodeAffinity: {
      ...affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms },
    },
  };
}

/** The node that the daemon runs on or is meant for. */
export function targetNodeOf({ spec }: Pod): string | undefined {
  if (spec?.nodeName) return spec.nodeName;
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const { key, operator, values = [] } of terms.flatMap(({ matchFields = [] }) => matchFields))
    if (key === "metadata.name" && operator === "In") return values.length === 1 ? values[0] : undefined;
  return undefined;
}

/** The daemon is of the present template. */
export function isUpdated(daemonSet: DaemonSet, hash: string, { metadata }: Pod): boolean {
  const generation = templateGenerationOf(daemonSet);
  return (
    metadata.labels?.[podRevisionLabel] === hash ||
    (generation !== undefined && metadata.labels?.[templateGenerationLabel] === generation)
  );
}
