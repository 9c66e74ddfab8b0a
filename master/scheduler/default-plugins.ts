import type { SchedulerPlugin } from "./framework.ts";
import { interPodAffinity } from "./plugins/inter-pod-affinity.ts";
import {
  imageLocality,
  nodeAffinity,
  nodeName,
  nodePorts,
  nodeUnschedulable,
  taintToleration,
} from "./plugins/node-basics.ts";
import { nodeResourcesBalancedAllocation, nodeResourcesFit } from "./plugins/node-resources.ts";
import { podTopologySpread } from "./plugins/pod-topology-spread.ts";
import { volumeBinding, volumeRestrictions } from "./plugins/volumes.ts";

/** In upstream's order, which decides whose reason is reported when several would reject a node. */
export const defaultPlugins: readonly SchedulerPlugin[] = [
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  nodePorts,
  nodeResourcesFit,
  volumeRestrictions,
  volumeBinding,
  podTopologySpread,
  interPodAffinity,
  nodeResourcesBalancedAllocation,
  imageLocality,
];
