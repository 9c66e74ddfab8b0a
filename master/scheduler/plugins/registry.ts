import type { PluginArgs } from "../configuration/plugin-args.ts";
import type { SchedulerPlugin } from "../framework.ts";
import { bindVolumes, hasUnboundClaims } from "../volume-assignment.ts";
import { VolumePromises } from "../volume-promises.ts";
import { dynamicResources } from "./dynamic-resources.ts";
import { interPodAffinity } from "./inter-pod-affinity.ts";
import { imageLocality, nodeAffinity, nodeName, nodePorts, nodeUnschedulable, taintToleration } from "./node-basics.ts";
import { nodeResourcesBalancedAllocation, nodeResourcesFit } from "./node-resources.ts";
import { podTopologySpread } from "./pod-topology-spread.ts";
import { nodeVolumeLimits, volumeZone } from "./volume-limits.ts";
import { volumeRestrictions } from "./volume-restrictions.ts";
import { volumeBinding } from "./volumes.ts";

/** Makes a plugin out of its arguments. */
type PluginFactories = {
  readonly [name: string]: (args: PluginArgs) => SchedulerPlugin;
};

/** Every plugin that filters or scores, by upstream's name. */
export const pluginFactories: PluginFactories = {
  NodeUnschedulable: () => nodeUnschedulable,
  NodeName: () => nodeName,
  TaintToleration: () => taintToleration,
  NodeAffinity: (args) => nodeAffinity(args.NodeAffinity),
  NodePorts: () => nodePorts,
  NodeResourcesFit: (args) => nodeResourcesFit(args.NodeResourcesFit),
  VolumeRestrictions: () => volumeRestrictions,
  NodeVolumeLimits: () => nodeVolumeLimits,
  VolumeBinding: () => {
    const promises = new VolumePromises();
    return {
      ...volumeBinding(promises),
      hasPreBind: hasUnboundClaims,
      preBind: (info, nodeName, client, cluster) => bindVolumes(info, nodeName, { client, cluster, promises }),
    };
  },
  VolumeZone: () => volumeZone,
  PodTopologySpread: (args) => podTopologySpread(args.PodTopologySpread),
  InterPodAffinity: (args) => interPodAffinity(args.InterPodAffinity),
  NodeResourcesBalancedAllocation: (args) => nodeResourcesBalancedAllocation(args.NodeResourcesBalancedAllocation),
  ImageLocality: () => imageLocality,
  DynamicResources: () => dynamicResources(),
};

export interface PluginChoice {
  readonly name: string;
  readonly weight: number;
}

/** Upstream's plugins with their weights, in its order, which decides whose reason is reported when several would reject a
 *  node. Those that neither filter nor score are parts of the scheduler itself. */
export const defaultChoices: readonly PluginChoice[] = [
  { name: "SchedulingGates", weight: 1 },
  { name: "PrioritySort", weight: 1 },
  { name: "NodeUnschedulable", weight: 1 },
  { name: "NodeName", weight: 1 },
  { name: "TaintToleration", weight: 3 },
  { name: "NodeAffinity", weight: 2 },
  { name: "NodePorts", weight: 1 },
  { name: "NodeResourcesFit", weight: 1 },
  { name: "VolumeRestrictions", weight: 1 },
  { name: "NodeVolumeLimits", weight: 1 },
  { name: "VolumeBinding", weight: 1 },
  { name: "VolumeZone", weight: 1 },
  { name: "PodTopologySpread", weight: 2 },
  { name: "InterPodAffinity", weight: 2 },
  { name: "DynamicResources", weight: 2 },
  { name: "DefaultPreemption", weight: 1 },
  { name: "NodeResourcesBalancedAllocation", weight: 1 },
  { name: "ImageLocality", weight: 1 },
  { name: "DefaultBinder", weight: 1 },
];
