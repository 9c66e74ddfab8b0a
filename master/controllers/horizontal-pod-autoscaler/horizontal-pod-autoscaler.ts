import { isConflict } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { resourcePath } from "#shared/api/resource-ref.ts";
import { horizontalPodAutoscalers, pods as podResource } from "#shared/api/resources.ts";
import { type LabelSelector, parseLabelSelector } from "#shared/api/selector/label-selector.ts";
import type { Scale } from "#shared/api/types/autoscaling-v1.generated.ts";
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerCondition,
  HorizontalPodAutoscalerStatus,
  MetricStatus,
} from "#shared/api/types/autoscaling-v2.generated.ts";
import { timestamp } from "#shared/client/clock.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  defineController,
  nothing,
  type ReconcileResult,
  watching,
} from "#shared/client/controller.ts";
import { ResourceMapper } from "#shared/client/discovery.ts";
import { canonicalText } from "../canonical-text.ts";
import { equalStatus } from "../equal-status.ts";
import { type AutoscalingSettings, usualAutoscaling } from "./autoscaling-settings.ts";
import { type ConditionText, firstMemory, normalize, remember, type ScalingMemory } from "./behaviour.ts";
import { MetricError, replicasForMetric, toleranceOf } from "./metric-replicas.ts";
import { MetricsClient } from "./metrics-client.ts";

/** How often a change of size is tried again when somebody else changed the target meanwhile. */
const scaleAttempts = 5;

/** What the controller knows of each autoscaler beyond its object. */
interface Memories {
  readonly scaling: Map<string, ScalingMemory>;
  /** The selector that each one's target had last. */
  readonly selectors: Map<string, { readonly namespace: string; readonly selector: LabelSelector }>;
}

/** Sizes what HorizontalPodAutoscalers name by what the metrics APIs tell. Upstream looks at a new autoscaler, or one that was
 *  changed, only once the time between two looks has passed; here it is looked at at once. */
export function horizontalPodAutoscalerController(
  settings: AutoscalingSettings = usualAutoscaling,
): ControllerDefinition {
  const memories: Memories = { scaling: new Map(), selectors: new Map() };
  let metrics: MetricsClient | undefined;
  return defineController({
    name: "horizontal-pod-autoscaler",
    watches: [
      watching(horizontalPodAutoscalers, {
        // Its own writes of the status are no reason to look again.
        when: (event) => event.type !== "update" || canonicalText(event.old.spec) !== canonicalText(event.object.spec),
      }),
      watching(podResource, { enqueue: nothing }),
    ],
    concurrency: 5,
    async reconcile(key, context) {
      const autoscaler = context.lister(horizontalPodAutoscalers).get(key);
      if (!autoscaler) {
        memories.scaling.delete(key);
        memories.selectors.delete(key);
        return undefined;
      }
      metrics ??= new MetricsClient(context.client, new ResourceMapper(context.client));
      return new Autoscaling(key, autoscaler, context, { memories, metrics, settings }).run();
    },
  });
}

/** Ends a reconcile: the status says why, and the next look comes at its time. */
class Unscalable extends Error {
  override readonly name = "Unscalable";
}

interface Decision {
  readonly replicas: number;
  readonly reason: string;
  readonly metrics: readonly MetricStatus[];
}

interface AutoscalingParts {
  readonly memories: Memories;
  readonly metrics: MetricsClient;
  readonly settings: AutoscalingSettings;
}

class Autoscaling {
  readonly #namespace: string;
  #conditions: HorizontalPodAutoscalerCondition[];

  constructor(
    readonly key: string,
    readonly autoscaler: HorizontalPodAutoscaler,
    readonly context: ControllerContext,
    readonly parts: AutoscalingParts,
  ) {
    this.#namespace = autoscaler.metadata.namespace ?? "";
    this.#conditions = [...(autoscaler.status?.conditions ?? [])];
  }

  async run(): Promise<ReconcileResult> {
    try {
      await this.#scale();
    } catch (error) {
      if (isConflict(error)) throw error;
      // What the metrics or the target refuse is looked at again at the usual time, not sooner.
      this.context.log.debug("did not scale", { key: this.key, error });
    }
    return { requeueAfter_ms: this.parts.settings.syncPeriod_ms };
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.context.events.record(this.autoscaler, { type, reason, message });
  }

  #set(type: string, { status, reason, message }: ConditionText): void {
    const present = this.#conditions.find((condition) => condition.type === type);
    const lastTransitionTime = present?.status === status ? present.lastTransitionTime : timestamp(this.context.clock);
    const next = { type, status, reason, message, lastTransitionTime };
    this.#conditions = present
      ? this.#conditions.map((condition) => (condition === present ? next : condition))
      : [...this.#conditions, next];
  }

  async #scale(): Promise<void> {
    const target = await this.#target();
    const current = target.scale.spec?.replicas ?? 0;
    const { scaling } = this.parts.memories;
    if (!scaling.has(this.key)) scaling.set(this.key, firstMemory(current, this.context.clock.now_ms()));
    let decision: Decision | undefined;
    try {
      decision = await this.#decide(target.scale, current);
    } catch (error) {
      if (error instanceof MetricsFailed) {
        await this.#writeStatus(current, this.autoscaler.status?.desiredReplicas ?? 0, error.statuses, "kept");
        this.#event("Warning", "FailedComputeMetricsReplicas", error.message);
      }
      throw error;
    }
    if (!decision || decision.replicas === current)
      return this.#writeStatus(current, current, decision?.metrics ?? [], "kept");
    await this.#resize(target, current, decision);
    await this.#writeStatus(current, decision.replicas, decision.metrics, "changed");
  }

  async #target(): Promise<{ readonly path: string; readonly scale: Scale }> {
    const { apiVersion = "", kind, name } = this.autoscaler.spec.scaleTargetRef;
    try {
      const resource = await this.parts.metrics.mapper.resourceOf(apiVersion, kind);
      const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
      if (!resource) throw new Error(`no matches for kind "${kind}" in group "${group}"`);
      const path = resourcePath(resource.ref, { namespace: this.#namespace, name, subresource: "scale" });
      const scale = (await this.context.client.raw({ method: "GET", path })) as Scale;
      const message = "the HPA controller was able to get the target's current scale";
      this.#set("AbleToScale", { status: "True", reason: "SucceededGetScale", message });
      return { path, scale };
    } catch (error) {
      const text = messageOf(error);
      const message = `the HPA controller was unable to get the target's current scale: ${text}`;
      this.#event("Warning", "FailedGetScale", text);
      this.#set("AbleToScale", { status: "False", reason: "FailedGetScale", message });
      await this.#write({ ...this.#statusNow(), conditions: this.#conditions });
      throw new Unscalable(text, { cause: error });
    }
  }

  /** The size to take; undefined: leave it as it is. */
  async #decide(scale: Scale, current: number): Promise<Decision | undefined> {
    const { minReplicas: min = 1, maxReplicas: max, behavior } = this.autoscaler.spec;
    if (current === 0 && min !== 0) {
      const message = "scaling is disabled since the replica count of the target is zero";
      this.#set("ScalingActive", { status: "False", reason: "ScalingDisabled", message });
      return undefined;
    }
    if (current > max)
      return { replicas: max, reason: "Current number of replicas above Spec.MaxReplicas", metrics: [] };
    if (current < min)
      return { replicas: min, reason: "Current number of replicas below Spec.MinReplicas", metrics: [] };
    const proposal = await this.#fromMetrics(scale, current);
    const reason = reasonOf(proposal, current);
    const now_ms = this.context.clock.now_ms();
    const memory = this.parts.memories.scaling.get(this.key) ?? firstMemory(current, now_ms);
    // No metric asks for fewer than none.
    const desired = Math.max(0, proposal.replicas);
    const usualDownWindow_s = Math.trunc(this.parts.settings.downscaleStabilization_ms / 1000);
    const step = { desired, current, bounds: { min, max }, behaviour: behavior, memory, usualDownWindow_s, now_ms };
    const normalized = normalize(step);
    this.parts.memories.scaling.set(this.key, normalized.memory);
    this.#set("AbleToScale", normalized.ableToScale);
    this.#set("ScalingLimited", normalized.scalingLimited);
    return { replicas: normalized.replicas, reason, metrics: proposal.statuses };
  }

  /** The most that any metric asks for. One that fails counts only where the others would not make it smaller. */
  async #fromMetrics(
    scale: Scale,
    current: number,
  ): Promise<{ replicas: number; name: string; statuses: MetricStatus[] }> {
    const selector = this.#selector(scale);
    const { clock, lister } = this.context;
    const pods = lister(podResource).labelled(this.#namespace, (labels) => selector.matches(labels));
    const input = {
      currentReplicas: current,
      statusReplicas: scale.status?.replicas ?? 0,
      namespace: this.#namespace,
      selector: selector.toString(),
      pods,
      tolerance: toleranceOf(this.autoscaler, this.parts.settings.tolerance),
      starting: this.parts.settings,
      now_ms: clock.wall_ms(),
    };
    const specs = this.autoscaler.spec.metrics ?? [];
    const statuses: MetricStatus[] = specs.map(() => ({ type: "" }));
    let best = { replicas: 0, name: "" };
    const failures: MetricError[] = [];
    for (const [index, spec] of specs.entries()) {
      try {
        const { replicas, name, status } = await replicasForMetric(spec, input, this.parts.metrics);
        statuses[index] = status;
        if (best.replicas === 0 || replicas > best.replicas) best = { replicas, name };
      } catch (error) {
        if (!(error instanceof MetricError)) throw error;
        this.#event("Warning", error.reason, error.detail);
        failures.push(error);
      }
    }
    const [first] = failures;
    if (first && (failures.length >= specs.length || best.replicas < current)) {
      const message = `the HPA was unable to compute the replica count: ${first.detail}`;
      this.#set("ScalingActive", { status: "False", reason: first.reason, message });
      const counts = `${failures.length} invalid out of ${specs.length}`;
      throw new MetricsFailed(`invalid metrics (${counts}), first error is: ${first.message}`, statuses);
    }
    const message = `the HPA was able to successfully calculate a replica count from ${best.name}`;
    this.#set("ScalingActive", { status: "True", reason: "ValidMetricFound", message });
    return { ...best, statuses };
  }

  #selector({ status }: Scale): LabelSelector {
    const text = status?.selector ?? "";
    if (text === "")
      throw this.#invalidSelector(
        "SelectorRequired",
        "selector is required",
        "the HPA target's scale is missing a selector",
      );
    let selector: LabelSelector;
    try {
      selector = parseLabelSelector(text);
    } catch (error) {
      const message = `couldn't convert selector into a corresponding internal selector object: ${messageOf(error)}`;
      throw this.#invalidSelector("InvalidSelector", message, message);
    }
    this.parts.memories.selectors.set(this.key, { namespace: this.#namespace, selector });
    const rivals = this.#rivals(selector);
    if (rivals.length < 2) return selector;
    const names = rivals.map((key) => `{${key.slice(key.indexOf("/") + 1)} ${this.#namespace}}`).join(" ");
    const message = `pods by selector ${text} are controlled by multiple HPAs: [${names}]`;
    throw this.#invalidSelector("AmbiguousSelector", message, message);
  }

  #invalidSelector(reason: string, event: string, message: string): MetricsFailed {
    this.#event("Warning", reason, event);
    const inCondition = reason === "SelectorRequired" ? "InvalidSelector" : reason;
    this.#set("ScalingActive", { status: "False", reason: inCondition, message });
    return new MetricsFailed(event, []);
  }

  /** Autoscalers whose targets select a pod that this one's does, itself among them. */
  #rivals(selector: LabelSelector): string[] {
    const { lister } = this.context;
    const pods = lister(podResource).labelled(this.#namespace, (labels) => selector.matches(labels));
    const known = new Set(lister(horizontalPodAutoscalers).list(this.#namespace).map(keyOf));
    return [...this.parts.memories.selectors]
      .filter(([key, other]) => known.has(key) && other.namespace === this.#namespace)
      .filter(([, other]) => pods.some(({ metadata }) => other.selector.matches(metadata.labels)))
      .map(([key]) => key);
  }

  async #resize(
    { path, scale }: { readonly path: string; readonly scale: Scale },
    current: number,
    { replicas, reason }: Decision,
  ): Promise<void> {
    const { client, clock } = this.context;
    try {
      let latest = scale;
      for (let attempt = 1; ; attempt++) {
        try {
          await client.raw({ method: "PUT", path, body: { ...latest, spec: { ...latest.spec, replicas } } });
          break;
        } catch (error) {
          if (!isConflict(error) || attempt === scaleAttempts) throw error;
          latest = (await client.raw({ method: "GET", path })) as Scale;
        }
      }
    } catch (error) {
      const text = messageOf(error);
      this.#event("Warning", "FailedRescale", `New size: ${replicas}; reason: ${reason}; error: ${text}`);
      const message = `the HPA controller was unable to update the target scale: ${text}`;
      this.#set("AbleToScale", { status: "False", reason: "FailedUpdateScale", message });
      await this.#writeStatus(current, this.autoscaler.status?.desiredReplicas ?? 0, [], "kept");
      throw new Unscalable(text, { cause: error });
    }
    const message = `the HPA controller was able to update the target scale to ${replicas}`;
    this.#set("AbleToScale", { status: "True", reason: "SucceededRescale", message });
    this.#event("Normal", "SuccessfulRescale", `New size: ${replicas}; reason: ${reason}`);
    const memory = this.parts.memories.scaling.get(this.key);
    if (memory) {
      const next = remember(memory, current, replicas, this.autoscaler.spec.behavior, clock.now_ms());
      this.parts.memories.scaling.set(this.key, next);
    }
  }

  #statusNow(): HorizontalPodAutoscalerStatus {
    return { desiredReplicas: 0, ...this.autoscaler.status };
  }

  async #writeStatus(
    currentReplicas: number,
    desiredReplicas: number,
    currentMetrics: readonly MetricStatus[],
    size: "kept" | "changed",
  ): Promise<void> {
    const { lastScaleTime } = this.#statusNow();
    const scaledAt = size === "changed" ? timestamp(this.context.clock) : lastScaleTime;
    await this.#write({
      currentReplicas,
      desiredReplicas,
      ...(scaledAt === undefined ? {} : { lastScaleTime: scaledAt }),
      ...(currentMetrics.length > 0 ? { currentMetrics: [...currentMetrics] } : {}),
      conditions: this.#conditions,
    });
  }

  async #write(status: HorizontalPodAutoscalerStatus): Promise<void> {
    if (equalStatus(this.autoscaler.status, status)) return;
    const next = { ...this.autoscaler, status };
    try {
      await this.context.client.update(horizontalPodAutoscalers, next, { subresource: "status" });
    } catch (error) {
      this.#event("Warning", "FailedUpdateStatus", messageOf(error));
      throw error;
    }
  }
}

/** Of a change of size; none where it comes of former looks at the metrics alone. */
function reasonOf({ replicas, name }: { readonly replicas: number; readonly name: string }, current: number): string {
  if (replicas > current) return `${name} above target`;
  return replicas < current ? "All metrics below target" : "";
}

/** No size could be had from the metrics; the status says why. */
class MetricsFailed extends Error {
  override readonly name = "MetricsFailed";

  constructor(
    message: string,
    readonly statuses: readonly MetricStatus[],
  ) {
    super(message);
  }
}
