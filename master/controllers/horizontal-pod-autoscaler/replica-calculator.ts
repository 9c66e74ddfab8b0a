import { milliValue } from "#shared/api/quantity.ts";
import { podRequests } from "#shared/api/scheduling/pod-resources.ts";
import { sidecarsOf } from "#shared/api/sidecars.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { isPodReady, podConditionOf } from "../pod-condition.ts";
import type { AutoscalingSettings } from "./autoscaling-settings.ts";
import type { PodMetric, PodMetricsByName } from "./metrics-client.ts";

/* How many replicas a metric asks for; all of it pure. Errors are thrown as upstream words them. */

/** How far usage may be off its target, as a share, before anything changes. */
export interface Tolerance {
  readonly up: number;
  readonly down: number;
}

const isWithin = ({ up, down }: Tolerance, ratio: number): boolean => 1 - down <= ratio && ratio <= 1 + up;

export interface PodsInput {
  readonly currentReplicas: number;
  readonly pods: readonly Pod[];
  readonly metrics: PodMetricsByName;
  readonly tolerance: Tolerance;
  readonly starting: StartingPods;
  readonly now_ms: number;
}

/** When a pod's use of the CPU is not yet that of its work. */
export type StartingPods = Pick<AutoscalingSettings, "cpuInitializationPeriod_ms" | "initialReadinessDelay_ms">;

export interface Proposal {
  readonly replicas: number;
  /** The average of a pod in thousandths. */
  readonly averageMilli: number;
  /** In percent of what is requested, for a target of that kind. */
  readonly utilization?: number;
}

interface Groups {
  readonly ready: number;
  readonly unready: ReadonlySet<string>;
  readonly missing: ReadonlySet<string>;
  readonly ignored: ReadonlySet<string>;
}

/** Sorts pods by how far their metrics can be trusted. `cpu` needs the care for pods that have just started. */
function groupPods({ pods, metrics, starting, now_ms }: PodsInput, resource: string | undefined): Groups {
  const [unready, missing, ignored] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let ready = 0;
  for (const pod of pods) {
    const { name = "", deletionTimestamp } = pod.metadata;
    const metric = metrics.get(name);
    if (deletionTimestamp || pod.status?.phase === "Failed") ignored.add(name);
    else if (pod.status?.phase === "Pending") unready.add(name);
    else if (!metric) missing.add(name);
    else if (resource === "cpu" && isStarting(pod, metric, starting, now_ms)) unready.add(name);
    else ready++;
  }
  return { ready, unready, missing, ignored };
}

function isStarting(
  pod: Pod,
  metric: PodMetric,
  { cpuInitializationPeriod_ms, initialReadinessDelay_ms }: StartingPods,
  now_ms: number,
): boolean {
  const condition = podConditionOf(pod, "Ready");
  const start_ms = Date.parse(pod.status?.startTime ?? "");
  if (!condition || Number.isNaN(start_ms)) return true;
  const changed_ms = Date.parse(condition.lastTransitionTime ?? "") || 0;
  const isNotReady = condition.status === "False";
  if (start_ms + cpuInitializationPeriod_ms > now_ms)
    return isNotReady || metric.timestamp_ms < changed_ms + metric.window_ms;
  return isNotReady && start_ms + initialReadinessDelay_ms > changed_ms;
}

/** For a target average of each pod, in thousandths. */
export function byAverage(input: PodsInput, targetMilli: number, resource: string | undefined): Proposal {
  const { groups, metrics } = trusted(input, resource);
  const { replicas, ratio: _ } = settle(
    input,
    groups,
    metrics,
    (values) => average(values) / targetMilli,
    () => targetMilli,
  );
  return { replicas, averageMilli: average(metrics) };
}

/** For a target share of what pods request, in percent. */
export function byUtilization(
  input: PodsInput,
  target: number,
  resource: string,
  container: string | undefined,
): Proposal {
  const { groups, metrics } = trusted(input, resource);
  const requests = requestsOf(input.pods, resource, container);
  const utilization = utilizationOf(metrics, requests);
  const { replicas } = settle(
    input,
    groups,
    metrics,
    (values) => utilizationOf(values, requests) / target,
    (name) => Math.trunc(((requests.get(name) ?? 0) * Math.max(100, target)) / 100),
  );
  // Metrics of pods that are not known any more count in no share.
  const known = new Map([...metrics].filter(([name]) => requests.has(name)));
  return { replicas, utilization, averageMilli: average(known) };
}

type Values = ReadonlyMap<string, number>;

function trusted(
  input: PodsInput,
  resource: string | undefined,
): { readonly groups: Groups; readonly metrics: Values } {
  if (input.pods.length === 0) throw new Error("no pods returned by selector while calculating replica count");
  const groups = groupPods(input, resource);
  const left = [...input.metrics].filter(([name]) => !groups.ignored.has(name) && !groups.unready.has(name));
  if (left.length === 0) throw new Error("did not receive metrics for targeted pods (pods might be unready)");
  return { groups, metrics: new Map(left.map(([name, { milli }]) => [name, milli])) };
}

/** Takes the ratio to replicas. Pods that say nothing are thought to be at their target before anything is made
 *  smaller, and idle before anything is made larger, as are those that start: neither direction is exaggerated. */
function settle(
  { currentReplicas, tolerance }: PodsInput,
  { ready, unready, missing }: Groups,
  metrics: Values,
  ratioOf: (values: Values) => number,
  atTarget: (name: string) => number,
): { readonly replicas: number; readonly ratio: number } {
  const ratio = ratioOf(metrics);
  const growsWithUnready = unready.size > 0 && ratio > 1;
  if (!growsWithUnready && missing.size === 0)
    return { replicas: isWithin(tolerance, ratio) ? currentReplicas : Math.ceil(ratio * ready), ratio };
  const filled = new Map(metrics);
  if (ratio !== 1) for (const name of missing) filled.set(name, ratio < 1 ? atTarget(name) : 0);
  if (growsWithUnready) for (const name of unready) filled.set(name, 0);
  const cautious = ratioOf(filled);
  const turned = (ratio < 1 && cautious > 1) || (ratio > 1 && cautious < 1);
  if (isWithin(tolerance, cautious) || turned) return { replicas: currentReplicas, ratio };
  const replicas = Math.ceil(cautious * filled.size);
  const contradicts = cautious < 1 ? replicas > currentReplicas : replicas < currentReplicas;
  return { replicas: contradicts ? currentReplicas : replicas, ratio };
}

const total = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value, 0);
const average = (values: Values): number => Math.trunc(total(values.values()) / values.size);

function utilizationOf(values: Values, requests: Values): number {
  const known = [...values].filter(([name]) => requests.has(name));
  const requested = total(known.map(([name]) => requests.get(name) ?? 0));
  if (requested === 0) throw new Error("no metrics returned matched known pods");
  return Math.trunc((total(known.map(([, value]) => value)) * 100) / requested);
}

/** What each pod requests in thousandths, by its name. */
function requestsOf(pods: readonly Pod[], resource: string, container: string | undefined): Values {
  return new Map(pods.map((pod) => [pod.metadata.name ?? "", requestOf(pod, resource, container)]));
}

function requestOf(pod: Pod, resource: string, container: string | undefined): number {
  const { metadata, spec } = pod;
  const ofPod = spec?.resources?.requests;
  if (ofPod && Object.keys(ofPod).length > 0 && container === undefined) {
    const request = podRequests(pod).get(resource);
    if (request === undefined) throw new Error(`missing pod-level request for ${resource} in Pod ${metadata.name}`);
    return resource === "cpu" ? request : request * 1000;
  }
  const sidecars = sidecarsOf(spec);
  const counted = [...(spec?.containers ?? []), ...sidecars].filter(
    ({ name }) => container === undefined || name === container,
  );
  if (container !== undefined && counted.length === 0)
    throw new Error(`container ${container} not found in Pod ${metadata.name}`);
  return total(
    counted.map(({ name, resources }) => {
      const request = resources?.requests?.[resource];
      if (request === undefined)
        throw new Error(`missing request for ${resource} in container ${name} of Pod ${metadata.name}`);
      return milliValue(request);
    }),
  );
}

/** For one value for all: the ready pods share it by the ratio to its target. */
export function byRatio(
  { currentReplicas, pods, tolerance }: Pick<PodsInput, "currentReplicas" | "pods" | "tolerance">,
  ratio: number,
): number {
  if (currentReplicas === 0) return Math.ceil(ratio);
  if (isWithin(tolerance, ratio)) return currentReplicas;
  if (pods.length === 0)
    throw new Error("unable to calculate ready pods: no pods returned by selector while calculating replica count");
  const ready = pods.filter((pod) => pod.status?.phase === "Running" && isPodReady(pod)).length;
  return Math.min(2 ** 31 - 1, Math.ceil(ratio * ready));
}

/** For one value for all with a target for each pod. */
export function byShare(
  statusReplicas: number,
  usageMilli: number,
  targetMilli: number,
  tolerance: Tolerance,
): Proposal {
  const isClose = isWithin(tolerance, usageMilli / (targetMilli * statusReplicas));
  const replicas = isClose ? statusReplicas : Math.min(2 ** 31 - 1, Math.ceil(usageMilli / targetMilli));
  return { replicas, averageMilli: Math.ceil(usageMilli / Math.max(1, statusReplicas)) };
}
