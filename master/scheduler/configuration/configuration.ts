/** KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1): profiles with their plugins, arguments and back-off. */

import { configurationText, readDocument } from "#shared/config/document.ts";
import { Field } from "#shared/config/field.ts";
import { defaultChoices } from "../plugins/registry.ts";
import { defaultSchedulerName } from "../scheduler-name.ts";
import { decodeExtenders, type ExtenderSettings } from "./extender-settings.ts";
import { type PluginArgs, readArgs } from "./plugin-args.ts";
import {
  defaultArgs,
  defaultProfile,
  extensionPoints,
  type PluginSet,
  type PluginSets,
  type Profile,
  pluginsAt,
  schedulerPlugins,
} from "./profile.ts";

export interface SchedulerConfiguration {
  /** At least one; no two of a name. */
  readonly profiles: readonly Profile[];
  /** As they are asked: one after the other. */
  readonly extenders: readonly ExtenderSettings[];
  readonly podInitialBackoffSeconds: number;
  readonly podMaxBackoffSeconds: number;
  readonly leaderElection: {
    readonly leaderElect: boolean | undefined;
    readonly resourceName: string | undefined;
    readonly resourceNamespace: string | undefined;
  };
  /** Empty: named elsewhere. */
  readonly kubeconfig: string;
  /** Requests to the API server a second, and at once; undefined: said elsewhere, or not at all. */
  readonly qps?: number | undefined;
  readonly burst?: number | undefined;
}

export const defaultConfiguration = (): SchedulerConfiguration => ({
  profiles: [defaultProfile()],
  extenders: [],
  podInitialBackoffSeconds: 1,
  podMaxBackoffSeconds: 10,
  leaderElection: { leaderElect: undefined, resourceName: undefined, resourceNamespace: undefined },
  kubeconfig: "",
});

const configurationKind = "KubeSchedulerConfiguration";
const apiVersion = "kubescheduler.config.k8s.io/v1";
const infinity = Number.POSITIVE_INFINITY;

/** What the file says, or the defaults when none is named. Throws ConfigError that names everything which is wrong in it. */
export const schedulerConfigurationOf = (path: string): SchedulerConfiguration =>
  path === "" ? defaultConfiguration() : parseSchedulerConfiguration(configurationText(path), path);

/** From the text of a file (pure); `path` is for messages. */
export const parseSchedulerConfiguration = (content: string, path: string): SchedulerConfiguration =>
  readDocument(content, path, configurationKind, decode);

function decode(root: Field): SchedulerConfiguration {
  const fields = root.fields([
    "apiVersion",
    "kind",
    "parallelism",
    "leaderElection",
    "clientConnection",
    "enableProfiling",
    "enableContentionProfiling",
    "percentageOfNodesToScore",
    "podInitialBackoffSeconds",
    "podMaxBackoffSeconds",
    "profiles",
    "extenders",
    "delayCacheUntilActive",
  ]);
  if (fields.apiVersion.value !== apiVersion)
    fields.apiVersion.complain(`expected ${apiVersion}, got ${JSON.stringify(fields.apiVersion.value)}`);
  if (fields.kind.value !== configurationKind)
    fields.kind.complain(`expected ${configurationKind}, got ${JSON.stringify(fields.kind.value)}`);
  fields.parallelism.integer(16, { min: 1, max: infinity });
  const extenders = decodeExtenders(fields.extenders);
  const first_s = fields.podInitialBackoffSeconds.integer(1, { min: 1, max: infinity });
  const longest_s = fields.podMaxBackoffSeconds.integer(10, { min: 1, max: infinity });
  if (longest_s < first_s)
    fields.podMaxBackoffSeconds.complain("must be greater than or equal to podInitialBackoffSeconds");
  const percentage = fields.percentageOfNodesToScore.integer(0, { min: 0, max: 100 });
  const connection = fields.clientConnection.fields([
    "kubeconfig",
    "acceptContentTypes",
    "contentType",
    "qps",
    "burst",
  ]);
  return {
    profiles: decodeProfiles(
      fields.profiles,
      percentage,
      extenders.flatMap(({ ignoredResources }) => ignoredResources),
    ),
    extenders,
    podInitialBackoffSeconds: first_s,
    podMaxBackoffSeconds: longest_s,
    leaderElection: decodeElection(fields.leaderElection),
    kubeconfig: connection.kubeconfig.text(),
    qps: positive(connection.qps),
    burst: positive(connection.burst),
  };
}

/** Zero and less say nothing. */
function positive(field: Field): number | undefined {
  if (field.isAbsent) return undefined;
  const { value } = field;
  if (typeof value !== "number") field.complain("expected a number");
  return typeof value === "number" && value > 0 ? value : undefined;
}

function decodeElection(root: Field): SchedulerConfiguration["leaderElection"] {
  const election = root.fields([
    "leaderElect",
    "leaseDuration",
    "renewDeadline",
    "retryPeriod",
    "resourceLock",
    "resourceName",
    "resourceNamespace",
  ]);
  election.resourceLock.choice("leases", ["leases"]);
  const given = (field: Field): string | undefined => (field.isAbsent ? undefined : field.text());
  return {
    leaderElect: election.leaderElect.isAbsent ? undefined : election.leaderElect.boolean(true),
    resourceName: given(election.resourceName),
    resourceNamespace: given(election.resourceNamespace),
  };
}

/** @param uncounted resources that an extender counts in the scheduler's place */
function decodeProfiles(list: Field, percentage: number, uncounted: readonly string[]): readonly Profile[] {
  const items = list.items();
  if (items.length === 0) return [decodeProfile(new Field({}, list.path, list.problems), percentage, uncounted)];
  const names = new Set<string>();
  return items.map((item) => {
    const profile = decodeProfile(item, percentage, uncounted);
    if (names.has(profile.schedulerName)) item.complain(`schedulerName: Duplicate value: "${profile.schedulerName}"`);
    names.add(profile.schedulerName);
    return profile;
  });
}

function decodeProfile(item: Field, percentage: number, uncounted: readonly string[]): Profile {
  const fields = item.fields(["schedulerName", "percentageOfNodesToScore", "plugins", "pluginConfig"]);
  const sets = decodeSets(fields.plugins);
  const given = decodeArgs(fields.pluginConfig);
  const args: PluginArgs =
    uncounted.length === 0
      ? given
      : { ...given, NodeResourcesFit: { ...given.NodeResourcesFit, ignoredResources: uncounted } };
  const serves = (point: keyof PluginSets, name: string): boolean =>
    pluginsAt(point, sets).some((choice) => choice.name === name);
  if (!serves("queueSort", "PrioritySort")) fields.plugins.complain("no queue sort plugin is enabled: PrioritySort");
  if (!serves("bind", "DefaultBinder")) fields.plugins.complain("at least one bind plugin is needed: DefaultBinder");
  return {
    schedulerName: fields.schedulerName.text(defaultSchedulerName),
    plugins: schedulerPlugins(sets, args),
    percentageOfNodesToScore: fields.percentageOfNodesToScore.integer(percentage, { min: 0, max: 100 }),
    preemption: serves("postFilter", "DefaultPreemption") ? args.DefaultPreemption : undefined,
  };
}

const known = new Set(defaultChoices.map(({ name }) => name));

function decodeSets(plugins: Field): PluginSets {
  const points = plugins.fields(extensionPoints);
  return Object.fromEntries(extensionPoints.map((point) => [point, decodeSet(points[point])])) as unknown as PluginSets;
}

function decodeSet(set: Field): PluginSet {
  const { enabled, disabled } = set.fields(["enabled", "disabled"]);
  const seen = new Set<string>();
  const read = (item: Field): { readonly name: string; readonly weight: number | undefined } => {
    const { name, weight } = item.fields(["name", "weight"]);
    return { name: name.text(), weight: weight.isAbsent ? undefined : weight.integer(1, { min: 0, max: 100 }) };
  };
  return {
    enabled: enabled.items().map((item) => {
      const choice = read(item);
      if (!known.has(choice.name)) item.complain(`plugin "${choice.name}" does not exist`);
      if (seen.has(choice.name)) item.complain(`plugin "${choice.name}" already registered`);
      seen.add(choice.name);
      return choice;
    }),
    disabled: disabled.items().map((item) => read(item).name),
  };
}

function decodeArgs(list: Field): PluginArgs {
  const args: Record<string, unknown> = { ...defaultArgs() };
  const seen = new Set<string>();
  for (const item of list.items()) {
    const fields = item.fields(["name", "args"]);
    const name = fields.name.text();
    if (seen.has(name)) item.complain(`Duplicate value: "${name}"`);
    seen.add(name);
    if (name in readArgs) args[name] = readArgs[name as keyof PluginArgs](fields.args);
    else if (known.has(name)) fields.args.complain(`${name} takes no arguments`);
    else fields.name.complain(`plugin "${name}" does not exist`);
  }
  return args as unknown as PluginArgs;
}

/** Who tells that a scheduler leads: its first profile, as all its other events. */
export const leaderEventSource = ({ profiles }: SchedulerConfiguration): string =>
  profiles[0]?.schedulerName ?? defaultSchedulerName;
