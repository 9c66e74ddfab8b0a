import { Field } from "#shared/config/field.ts";
import type { SchedulerPlugin } from "../framework.ts";
import { defaultChoices, type PluginChoice, pluginFactories } from "../plugins/registry.ts";
import { defaultSchedulerName } from "../scheduler-name.ts";
import type { PluginArgs } from "./plugin-args.ts";
import { readArgs } from "./plugin-args.ts";

/** One scheduler as pods name it in `spec.schedulerName`. */
export interface Profile {
  readonly schedulerName: string;
  readonly plugins: readonly SchedulerPlugin[];
  /** Of all nodes, how many feasible ones are looked for; 0: by the fleet's size. */
  readonly percentageOfNodesToScore: number;
  /** Absent: pods of this profile take nobody's place. */
  readonly preemption: PluginArgs["DefaultPreemption"] | undefined;
}

export const extensionPoints = [
  "preEnqueue",
  "queueSort",
  "preFilter",
  "filter",
  "postFilter",
  "preScore",
  "score",
  "reserve",
  "permit",
  "preBind",
  "bind",
  "postBind",
  "multiPoint",
] as const;
export type ExtensionPoint = (typeof extensionPoints)[number];

export interface PluginSet {
  readonly enabled: readonly { readonly name: string; readonly weight: number | undefined }[];
  /** `*`: all. */
  readonly disabled: readonly string[];
}
export type PluginSets = Readonly<Record<ExtensionPoint, PluginSet>>;

const none: PluginSet = { enabled: [], disabled: [] };

/** Plugins of one extension point (pure): what the point itself names comes first, then what stays of those that serve every
 *  point. */
export function pluginsAt(point: ExtensionPoint, sets: Partial<PluginSets>): readonly PluginChoice[] {
  const everywhere = merged(defaultChoices, sets.multiPoint ?? none);
  const { enabled, disabled } = sets[point] ?? none;
  const own = enabled.map(({ name, weight }): PluginChoice => {
    const inherited = everywhere.find((choice) => choice.name === name)?.weight;
    return { name, weight: weight || (inherited ?? 1) };
  });
  const left = disabled.includes("*")
    ? []
    : everywhere.filter(({ name }) => !disabled.includes(name) && !own.some((choice) => choice.name === name));
  const overriding = own.filter(({ name }) => everywhere.some((choice) => choice.name === name));
  return [...overriding, ...left, ...own.filter((choice) => !overriding.includes(choice))];
}

function merged(defaults: readonly PluginChoice[], { enabled, disabled }: PluginSet): readonly PluginChoice[] {
  const kept = disabled.includes("*") ? [] : defaults.filter(({ name }) => !disabled.includes(name));
  const given = new Map(enabled.map(({ name, weight }) => [name, weight]));
  const changed = kept.map(({ name, weight }) => ({ name, weight: given.get(name) || weight }));
  const added = enabled
    .filter(({ name }) => !kept.some((choice) => choice.name === name))
    .map(({ name, weight }) => ({ name, weight: weight || 1 }));
  return [...changed, ...added];
}

/** The plugins that filter and score for a profile, each with the parts that it may play. */
export function schedulerPlugins(sets: Partial<PluginSets>, args: PluginArgs): readonly SchedulerPlugin[] {
  const scoring = new Map(pluginsAt("score", sets).map(({ name, weight }) => [name, weight]));
  const filtering = pluginsAt("filter", sets).map(({ name }) => name);
  const postFiltering = pluginsAt("postFilter", sets).map(({ name }) => name);
  const keepingOut = pluginsAt("preEnqueue", sets).map(({ name }) => name);
  const isOff = (point: ExtensionPoint, name: string): boolean => {
    const { disabled = [] } = sets[point] ?? none;
    return disabled.includes(name);
  };
  const names = [...filtering, ...[...scoring.keys()].filter((name) => !filtering.includes(name))];
  return names.flatMap((name) => {
    const plugin = pluginFactories[name]?.(args);
    if (!plugin) return [];
    const filters = filtering.includes(name) && !isOff("preFilter", name);
    const weight = isOff("preScore", name) ? 0 : (scoring.get(name) ?? 0);
    const [postFilters, keepsOut] = [postFiltering.includes(name), keepingOut.includes(name)];
    return [restricted(plugin, { filters, weight, postFilters, keepsOut })];
  });
}

/** The plugin without the parts that the profile takes from it. */
function restricted(
  plugin: SchedulerPlugin,
  parts: {
    readonly filters: boolean;
    readonly weight: number;
    readonly postFilters: boolean;
    readonly keepsOut: boolean;
  },
): SchedulerPlugin {
  const { filters, weight, postFilters } = parts;
  const { keepsOut, ...others } = plugin;
  return {
    ...others,
    ...(keepsOut && parts.keepsOut ? { keepsOut } : {}),
    hasPostFilter: postFilters && plugin.hasPostFilter === true,
    weight,
    begin(pod, cluster) {
      const cycle = plugin.begin(pod, cluster);
      if (!cycle) return undefined;
      const { reject, onlyNodes, filter } = cycle;
      const postFilter = cycle.postFilter && postFilters ? { postFilter: cycle.postFilter } : {};
      const scores = cycle.scores && weight > 0 ? { scores: cycle.scores } : {};
      const filtering = filters ? { reject, onlyNodes, ...(filter ? { filter } : {}) } : {};
      return { ...filtering, ...scores, ...postFilter };
    },
  };
}

/** Arguments of all plugins as they are when nobody says anything. */
export function defaultArgs(): PluginArgs {
  const absent = (name: string): Field => new Field(undefined, name, []);
  const entries = Object.entries(readArgs).map(([name, read]) => [name, read(absent(name))]);
  return Object.fromEntries(entries) as unknown as PluginArgs;
}

/** Upstream's default profile under a name. */
export function defaultProfile(schedulerName = defaultSchedulerName): Profile {
  const args = defaultArgs();
  return {
    schedulerName,
    plugins: schedulerPlugins({}, args),
    percentageOfNodesToScore: 0,
    preemption: args.DefaultPreemption,
  };
}
