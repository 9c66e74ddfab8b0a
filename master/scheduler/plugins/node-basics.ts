import {
  matchesNodeSelection,
  matchesNodeSelector,
  matchesNodeSelectorTerm,
  pinnedNodes,
} from "#shared/api/scheduling/node-affinity.ts";
import { keepsPodsAway, tolerates, untoleratedTaint, wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { Node, Pod, PreferredSchedulingTerm } from "#shared/api/types/core-v1.generated.ts";
import type { PluginArgs } from "../configuration/plugin-args.ts";
import { normalizeByGreatest, type Rejection, rejection, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import { portsClash } from "../pod-info.ts";

/** Cordoned nodes take only pods that tolerate it. */
export const nodeUnschedulable: SchedulerPlugin = {
  name: "NodeUnschedulable",
  wokenBy: new Set(["nodeAdded", "nodeTaints", "nodeOther", "podTolerations"]),
  mayHelp: (info, { node, nodeBefore, pod }) =>
    pod
      ? pod.uid === info.uid && toleratesCordons(pod.pod)
      : !node?.node?.spec?.unschedulable && (!nodeBefore || nodeBefore.spec?.unschedulable === true),
  begin({ pod }) {
    if (toleratesCordons(pod)) return undefined;
    return {
      filter: ({ node }) => (node?.spec?.unschedulable ? rejection("node(s) were unschedulable", "final") : undefined),
    };
  },
};

const toleratesCordons = ({ spec }: Pod): boolean =>
  (spec?.tolerations ?? []).some((toleration) =>
    tolerates(toleration, { key: wellKnownTaints.unschedulable, effect: "NoSchedule" }),
  );

/** A pod that names its node already goes nowhere else. */
export const nodeName: SchedulerPlugin = {
  name: "NodeName",
  wokenBy: new Set(["nodeAdded"]),
  mayHelp: ({ pod }, { node }) => !node || node.name === pod.spec?.nodeName,
  begin({ pod }) {
    const wanted = pod.spec?.nodeName;
    if (!wanted) return undefined;
    return {
      filter: ({ name }) =>
        name === wanted ? undefined : rejection("node(s) didn't match the requested node name", "final"),
    };
  },
};

/** Taints keep pods away (NoSchedule, NoExecute) or make a node less liked (PreferNoSchedule). */
export const taintToleration: SchedulerPlugin = {
  name: "TaintToleration",
  wokenBy: new Set(["nodeAdded", "nodeTaints", "podTolerations"]),
  mayHelp({ pod, uid }, { node, nodeBefore, pod: changed }) {
    if (changed) return changed.uid === uid;
    const keptOff = (one: Node | undefined): boolean =>
      untoleratedTaint(one?.spec?.taints, pod.spec?.tolerations, keepsPodsAway) !== undefined;
    return !keptOff(node?.node) && (!nodeBefore || keptOff(nodeBefore));
  },
  begin({ pod }) {
    const tolerations = pod.spec?.tolerations;
    const mild = (tolerations ?? []).filter(({ effect }) => !effect || effect === "PreferNoSchedule");
    return {
      filter: ({ node }) =>
        untoleratedTaint(node?.spec?.taints, tolerations, keepsPodsAway)
          ? rejection("node(s) had untolerated taint(s)", "final")
          : undefined,
      scores: (feasible) =>
        normalizeByGreatest(
          feasible.map(
            ({ node }) =>
              (node?.spec?.taints ?? []).filter(
                (taint) =>
                  taint.effect === "PreferNoSchedule" && !mild.some((toleration) => tolerates(toleration, taint)),
              ).length,
          ),
          "less is better",
        ),
    };
  },
};

const unmatched = "node(s) didn't match Pod's node affinity/selector";
const unmatchedByProfile = "node(s) didn't match scheduler-enforced node affinity";

/** `nodeSelector` and node affinity, the pod's own and what the profile adds. */
export function nodeAffinity({ addedAffinity }: PluginArgs["NodeAffinity"]): SchedulerPlugin {
  const enforced = addedAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const addedPreferences = addedAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const against = (pod: Pod, node: Node): string | undefined => {
    if (enforced && !matchesNodeSelector(enforced, node)) return unmatchedByProfile;
    return matchesNodeSelection(pod, node) ? undefined : unmatched;
  };
  return {
    name: "NodeAffinity",
    wokenBy: new Set(["nodeAdded", "nodeLabels"]),
    mayHelp: ({ pod }, { node, nodeBefore }) =>
      !node?.node || (against(pod, node.node) === undefined && (!nodeBefore || against(pod, nodeBefore) !== undefined)),
    begin({ pod }) {
      const affinity = pod.spec?.affinity?.nodeAffinity;
      const preferred = [...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []), ...addedPreferences];
      const required = affinity?.requiredDuringSchedulingIgnoredDuringExecution !== undefined;
      const selects = required || enforced !== undefined || Object.keys(pod.spec?.nodeSelector ?? {}).length > 0;
      if (!selects && preferred.length === 0) return undefined;
      const onlyNodes = pinnedNodes(pod);
      if (onlyNodes?.size === 0) return { reject: rejection("pod affinity terms conflict", "final") };
      return {
        onlyNodes,
        ...(selects ? { filter: ({ node }) => filtered(node && against(pod, node)) } : {}),
        ...(preferred.length > 0 ? { scores: (feasible) => preferenceScores(preferred, feasible) } : {}),
      };
    },
  };
}

const filtered = (reason: string | undefined): Rejection | undefined =>
  reason === undefined ? undefined : rejection(reason, "final");

function preferenceScores(preferred: readonly PreferredSchedulingTerm[], feasible: readonly NodeInfo[]): number[] {
  const sums = feasible.map(({ node }) =>
    preferred
      .filter(({ preference }) => node && matchesNodeSelectorTerm(preference, node))
      .reduce((sum, { weight }) => sum + weight, 0),
  );
  return normalizeByGreatest(sums, "more is better");
}

/** Host ports must be free on the node. */
export const nodePorts: SchedulerPlugin = {
  name: "NodePorts",
  wokenBy: new Set(["nodeAdded", "podDeleted"]),
  mayHelp: ({ hostPorts }, { freed }) =>
    !freed || freed.hostPorts.some((port) => hostPorts.some((wanted) => portsClash(wanted, port))),
  begin({ hostPorts }) {
    if (hostPorts.length === 0) return undefined;
    return {
      filter({ pods }) {
        for (const other of pods.values())
          for (const taken of other.hostPorts)
            if (hostPorts.some((wanted) => portsClash(wanted, taken)))
              return rejection("node(s) didn't have free ports for the requested pod ports", "preemptible");
        return undefined;
      },
    };
  },
};

const thresholdMin_bytes = 23 * 1024 * 1024;
const thresholdMax_bytes = 1000 * 1024 * 1024;

/** Nodes that have a pod's images already spare the network and the card. */
export const imageLocality: SchedulerPlugin = {
  name: "ImageLocality",
  wokenBy: new Set(),
  begin({ pod }, cluster) {
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    const names = containers.map(({ image = "" }) => withTag(image));
    return {
      scores(feasible) {
        const nodes = cluster.nodes();
        const spread = new Map(
          [...new Set(names)].map((name) => [
            name,
            nodes.filter(({ images }) => images.has(name)).length / Math.max(1, nodes.length),
          ]),
        );
        const most = thresholdMax_bytes * containers.length;
        return feasible.map(({ images }) => {
          let sum = 0;
          for (const name of names) sum += Math.floor((images.get(name) ?? 0) * (spread.get(name) ?? 0));
          const clamped = Math.min(Math.max(sum, thresholdMin_bytes), most);
          return Math.floor((100 * (clamped - thresholdMin_bytes)) / (most - thresholdMin_bytes));
        });
      },
    };
  },
};

const withTag = (image: string): string =>
  image.lastIndexOf(":") <= image.lastIndexOf("/") ? `${image}:latest` : image;
