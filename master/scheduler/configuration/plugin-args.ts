import type { NodeAffinity, TopologySpreadConstraint } from "#shared/api/types/core-v1.generated.ts";
import type { Field } from "#shared/config/field.ts";

/** The arguments of plugins (`pluginConfig`), with upstream's defaults in place. */
export interface PluginArgs {
  readonly DefaultPreemption: {
    readonly minCandidateNodesPercentage: number;
    readonly minCandidateNodesAbsolute: number;
  };
  readonly InterPodAffinity: {
    readonly hardPodAffinityWeight: number;
    readonly ignorePreferredTermsOfExistingPods: boolean;
  };
  readonly NodeAffinity: { readonly addedAffinity: NodeAffinity | undefined };
  readonly NodeResourcesBalancedAllocation: { readonly resources: readonly WeighedResource[] };
  readonly NodeResourcesFit: {
    readonly ignoredResources: readonly string[];
    readonly ignoredResourceGroups: readonly string[];
    readonly scoringStrategy: ScoringStrategy;
  };
  readonly PodTopologySpread: {
    readonly defaultConstraints: readonly TopologySpreadConstraint[];
    readonly defaultingType: "System" | "List";
  };
  /** Read and checked; a pod whose volumes do not come is decided on anew when something changes, at the latest after 5 minutes. */
  readonly VolumeBinding: Nothing;
  readonly DynamicResources: Nothing;
}

type Nothing = Readonly<Record<never, never>>;

export interface WeighedResource {
  readonly name: string;
  readonly weight: number;
}

export interface ShapePoint {
  /** Percent of the resource that is requested. */
  readonly utilization: number;
  /** 0 to 10. */
  readonly score: number;
}

export type ScoringStrategy =
  | { readonly type: "LeastAllocated" | "MostAllocated"; readonly resources: readonly WeighedResource[] }
  | {
      readonly type: "RequestedToCapacityRatio";
      readonly resources: readonly WeighedResource[];
      readonly shape: readonly ShapePoint[];
    };

const cpuAndMemory: readonly WeighedResource[] = [
  { name: "cpu", weight: 1 },
  { name: "memory", weight: 1 },
];
const infinity = Number.POSITIVE_INFINITY;

/** Reads each plugin's arguments; an absent value gives the defaults. */
export const readArgs: { readonly [K in keyof PluginArgs]: (args: Field) => PluginArgs[K] } = {
  DefaultPreemption(args) {
    const { minCandidateNodesPercentage: percentage, minCandidateNodesAbsolute: absolute } = fieldsOf(args, [
      "minCandidateNodesPercentage",
      "minCandidateNodesAbsolute",
    ]);
    const read = {
      minCandidateNodesPercentage: percentage.integer(10, { min: 0, max: 100 }),
      minCandidateNodesAbsolute: absolute.integer(100, { min: 0, max: infinity }),
    };
    if (read.minCandidateNodesPercentage === 0 && read.minCandidateNodesAbsolute === 0)
      percentage.complain("cannot be zero at the same time as minCandidateNodesAbsolute");
    return read;
  },
  InterPodAffinity(args) {
    const { hardPodAffinityWeight, ignorePreferredTermsOfExistingPods } = fieldsOf(args, [
      "hardPodAffinityWeight",
      "ignorePreferredTermsOfExistingPods",
    ]);
    return {
      hardPodAffinityWeight: hardPodAffinityWeight.integer(1, { min: 0, max: 100 }),
      ignorePreferredTermsOfExistingPods: ignorePreferredTermsOfExistingPods.boolean(false),
    };
  },
  NodeAffinity(args) {
    const { addedAffinity } = fieldsOf(args, ["addedAffinity"]);
    if (addedAffinity.isAbsent) return { addedAffinity: undefined };
    const {
      requiredDuringSchedulingIgnoredDuringExecution: required,
      preferredDuringSchedulingIgnoredDuringExecution,
    } = addedAffinity.fields([
      "requiredDuringSchedulingIgnoredDuringExecution",
      "preferredDuringSchedulingIgnoredDuringExecution",
    ]);
    for (const preference of preferredDuringSchedulingIgnoredDuringExecution.items())
      preference.fields(["weight", "preference"]).weight.integer(1, { min: 1, max: 100 });
    if (!required.isAbsent) required.fields(["nodeSelectorTerms"]).nodeSelectorTerms.items();
    return { addedAffinity: addedAffinity.value as NodeAffinity };
  },
  NodeResourcesBalancedAllocation(args) {
    return { resources: readResources(fieldsOf(args, ["resources"]).resources, 1) };
  },
  NodeResourcesFit(args) {
    const { ignoredResources, ignoredResourceGroups, scoringStrategy } = fieldsOf(args, [
      "ignoredResources",
      "ignoredResourceGroups",
      "scoringStrategy",
    ]);
    const groups = ignoredResourceGroups.items().map((item) => item.text());
    for (const group of groups)
      if (group.includes("/")) ignoredResourceGroups.complain(`resource group name can't contain '/': "${group}"`);
    return {
      ignoredResources: ignoredResources.items().map((item) => item.text()),
      ignoredResourceGroups: groups,
      scoringStrategy: readStrategy(scoringStrategy),
    };
  },
  PodTopologySpread(args) {
    const { defaultConstraints, defaultingType } = fieldsOf(args, ["defaultConstraints", "defaultingType"]);
    const type = defaultingType.choice("System", ["System", "List"]);
    const constraints = defaultConstraints.items().map(readConstraint);
    if (type === "System" && constraints.length > 0)
      defaultingType.complain('has to be "List" when .defaultConstraints are not empty');
    return { defaultConstraints: constraints, defaultingType: type };
  },
  VolumeBinding(args) {
    const { bindTimeoutSeconds } = fieldsOf(args, ["bindTimeoutSeconds", "shape"]);
    bindTimeoutSeconds.integer(600, { min: 0, max: infinity });
    return {};
  },
  DynamicResources(args) {
    fieldsOf(args, ["filterTimeout", "bindingTimeout"]);
    return {};
  },
};

/** Arguments may say of what kind they are, as upstream's examples do. */
function fieldsOf<K extends string>(args: Field, names: readonly K[]): Record<K, Field> {
  const { apiVersion: _, kind: __, ...rest } = args.fields(["apiVersion", "kind", ...names]);
  return rest as unknown as Record<K, Field>;
}

function readResources(list: Field, mostWeight: number): readonly WeighedResource[] {
  if (list.isAbsent) return cpuAndMemory;
  return list.items().map((item) => {
    const { name, weight } = item.fields(["name", "weight"]);
    if (name.text() === "") name.complain("can not be empty");
    return { name: name.text(), weight: weight.integer(1, { min: 1, max: mostWeight }) };
  });
}

function readStrategy(strategy: Field): ScoringStrategy {
  const { type, resources, requestedToCapacityRatio } = strategy.fields([
    "type",
    "resources",
    "requestedToCapacityRatio",
  ]);
  const kind = type.choice("LeastAllocated", ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]);
  const weighed = readResources(resources, 100);
  if (kind !== "RequestedToCapacityRatio") return { type: kind, resources: weighed };
  const { shape } = requestedToCapacityRatio.fields(["shape"]);
  let last = -1;
  const points = shape.items().map((item): ShapePoint => {
    const { utilization, score } = item.fields(["utilization", "score"]);
    const at = utilization.integer(0, { min: 0, max: 100 });
    if (at <= last) utilization.complain("values must be sorted in increasing order");
    last = at;
    return { utilization: at, score: score.integer(0, { min: 0, max: 10 }) };
  });
  if (points.length === 0) shape.complain("at least one point must be specified");
  return { type: kind, resources: weighed, shape: points };
}

function readConstraint(item: Field): TopologySpreadConstraint {
  const fields = item.fields([
    "maxSkew",
    "topologyKey",
    "whenUnsatisfiable",
    "labelSelector",
    "minDomains",
    "nodeAffinityPolicy",
    "nodeTaintsPolicy",
    "matchLabelKeys",
  ]);
  if (fields.topologyKey.text() === "") fields.topologyKey.complain("can not be empty");
  fields.maxSkew.integer(1, { min: 1, max: infinity });
  fields.whenUnsatisfiable.choice("DoNotSchedule", ["DoNotSchedule", "ScheduleAnyway"]);
  if (!fields.labelSelector.isAbsent)
    fields.labelSelector.complain("constraint must not define a selector, as they deduced for each pod");
  return item.value as TopologySpreadConstraint;
}
