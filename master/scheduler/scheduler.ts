import { isNotFound } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { namespaces, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import { type Log, silentLog } from "#shared/client/log.ts";
import { SeriesEventRecorder } from "#shared/client/series-event-recorder.ts";
import { tellAlso } from "#shared/metrics/process-families.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { nextTurn } from "#shared/process/turn.ts";
import { BindingCycle } from "./binding-cycle.ts";
import { ClusterCache } from "./cluster-cache.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { defaultConfiguration, type SchedulerConfiguration } from "./configuration/configuration.ts";
import { type Decision, decide, explainUnfit, type SearchQuestion, type SearchState, type Unfit } from "./cycle.ts";
import { decideWithExtenders } from "./extenders/decide.ts";
import { Extenders } from "./extenders/extenders.ts";
import { HttpExtender } from "./extenders/http-extender.ts";
import { type ClusterEvent, type ClusterView, PluginError, type PostFilterResult } from "./framework.ts";
import { NominatedPods } from "./nominated-pods.ts";
import type { PodInfo } from "./pod-info.ts";
import { podResourceFamilies } from "./pod-resource-families.ts";
import { PodStatusWriter } from "./pod-status-writer.ts";
import type { PreemptionCandidate, PreemptionPlan } from "./preemption.ts";
import { Preemptor } from "./preemptor.ts";
import { type RunningProfile, timerOf } from "./running-profile.ts";
import { SchedulerMetrics } from "./scheduler-metrics.ts";
import { schedulerNameOf } from "./scheduler-name.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";

export interface SchedulerOptions {
  readonly client: Client;
  /** Started by its owner. */
  readonly informers: InformerFactory;
  /** Pods that name one of its profiles are this scheduler's own. */
  readonly configuration?: Pick<
    SchedulerConfiguration,
    "profiles" | "extenders" | "podInitialBackoffSeconds" | "podMaxBackoffSeconds"
  >;
  readonly events?: EventRecorder | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  readonly random?: (() => number) | undefined;
}

const failedScheduling = { type: "Warning", reason: "FailedScheduling", action: "Scheduling" } as const;
const bindingsAtOnce = 32;
/** A turn of the event loop should not be longer. */
const turn_ms = 15;

/** A pod that no node takes now. */
interface Rejection {
  readonly info: PodInfo;
  /** Why, for its condition. */
  readonly message: string;
  /** Where room is made for it; "" takes back what was said before. */
  readonly nominatedNodeName: string | undefined;
  readonly postFilter: readonly PostFilterResult[];
  /** Who must go for it. */
  readonly candidate: PreemptionCandidate | undefined;
}

/**
 * Gives pods their nodes. Events fill the cache and the queue; one loop takes pods from the queue and decides on each at
 * once on the cache as it stands; what the decision asks for (binding, preemption, telling why not) goes to the API
 * beside the loop. A binding in flight is assumed, so that the next decision counts with it. Only what extenders say of a
 * pod is waited for: the next pod's turn comes after it.
 */
export class Scheduler {
  readonly #client: Client;
  readonly #informers: InformerFactory;
  readonly #profiles: ReadonlyMap<string, RunningProfile>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #random: () => number;
  readonly #cache = new ClusterCache();
  readonly #nominated = new NominatedPods();
  readonly #metrics = new SchedulerMetrics();
  readonly #queue: SchedulingQueue;
  readonly #search: SearchState = { nextStart: 0 };
  readonly #feed: ClusterFeed;
  readonly #statuses: PodStatusWriter;
  readonly #extenders: Extenders;
  readonly #preemptor: Preemptor;
  readonly #binding: BindingCycle;
  /** Pods for which room is being made: looked at meanwhile, they might have others go as well. */
  readonly #preempting = new Set<string>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #detach: (() => void)[] = [];
  #loop: Promise<void> | undefined;
  #stopping = false;

  constructor(options: SchedulerOptions) {
    this.#client = options.client;
    this.#informers = options.informers;
    this.#clock = options.clock ?? systemClock;
    this.#log = (options.log ?? silentLog).named("scheduler");
    this.#random = options.random ?? Math.random;
    const { profiles, extenders, podInitialBackoffSeconds, podMaxBackoffSeconds } =
      options.configuration ?? defaultConfiguration();
    this.#extenders = new Extenders(
      extenders.map((settings) => new HttpExtender(settings)),
      this.#log,
    );
    this.#profiles = new Map(
      profiles.map((profile) => {
        const { schedulerName: component } = profile;
        const recorder = { component, clock: this.#clock, log: this.#log };
        const events = options.events ?? new SeriesEventRecorder(options.client, recorder);
        const byName = new Map(profile.plugins.map((plugin) => [plugin.name, plugin]));
        return [component, { ...profile, events, byName }];
      }),
    );
    this.#queue = new SchedulingQueue((name, info, event) => this.#mayHelp(name, info, event), {
      clock: this.#clock,
      keptOutBy: (info) => this.#keptOutBy(info),
      firstBackOff_ms: podInitialBackoffSeconds * 1000,
      longestBackOff_ms: podMaxBackoffSeconds * 1000,
    });
    this.#feed = new ClusterFeed(options.informers, {
      cache: this.#cache,
      queue: this.#queue,
      nominated: this.#nominated,
      isOwn: (pod) => this.#profileOf(pod) !== undefined,
    });
    this.#statuses = new PodStatusWriter(options.client, this.#clock);
    this.#preemptor = new Preemptor({
      client: options.client,
      informers: options.informers,
      nominated: this.#nominated,
      statuses: this.#statuses,
      log: this.#log,
    });
    this.#binding = new BindingCycle({
      client: options.client,
      cache: this.#cache,
      queue: this.#queue,
      nominated: this.#nominated,
      statuses: this.#statuses,
      metrics: this.#metrics,
      cluster: this.#view,
      log: this.#log,
      isStopping: () => this.#stopping,
    });
  }

  /** Resolves when the caches are full and the loop runs. */
  async start(): Promise<void> {
    this.#detach.push(
      tellAlso(() => this.#metrics.families({ queue: this.#queue, cache: this.#cache })),
      this.#feed.attach(),
    );
    try {
      await this.#feed.caughtUp();
    } catch (error) {
      if (this.#stopping) return;
      throw error;
    }
    if (!this.#stopping) this.#loop = this.#run();
  }

  /** Resolves with "ok" until it ends: that the API server is away is no fault of this. */
  async check(): Promise<string> {
    if (this.#stopping) throw new Error("the scheduler is ending");
    return "ok";
  }

  /** Resolves with "ok" once pods are decided on. */
  async checkCaches(): Promise<string> {
    if (!this.#loop) throw new Error("handlers are not fully synchronized");
    return "ok";
  }

  /** What pods ask for and are held to; nothing once this scheduler follows them no more. */
  podResources(): Family[] {
    return this.#stopping ? [] : podResourceFamilies(this.#informers.lister(pods).list());
  }

  /** Decides on no more pods and waits for what is in flight. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const end of this.#detach) end();
    this.#queue.close();
    await this.#loop;
    await Promise.all(this.#inFlight);
  }

  async #run(): Promise<void> {
    let turnBegan_ms = this.#clock.now_ms();
    for (let info = await this.#queue.next(); info; info = await this.#queue.next()) {
      try {
        const answers = this.#schedule(info);
        if (answers) await answers;
      } catch (error) {
        this.#fail(info, "a decision failed", error);
      }
      while (this.#inFlight.size >= bindingsAtOnce) await Promise.race(this.#inFlight);
      if (this.#clock.now_ms() - turnBegan_ms > turn_ms) {
        await nextTurn();
        turnBegan_ms = this.#clock.now_ms();
      }
    }
  }

  /** One cycle; waits for nothing unless the pod concerns extenders. */
  #schedule(info: PodInfo): Promise<void> | undefined {
    if (this.#cache.isAssumed(info.uid)) {
      this.#queue.delete(info.uid);
      return undefined;
    }
    const profile = this.#profileOf(info.pod);
    if (!profile) {
      this.#queue.delete(info.uid);
      return undefined;
    }
    const { name, namespace, deletionTimestamp } = info.pod.metadata;
    if (deletionTimestamp) {
      const message = `skip schedule deleting pod: ${namespace}/${name}`;
      profile.events.record(info.pod, { ...failedScheduling, message });
      this.#queue.delete(info.uid);
      return undefined;
    }
    this.#metrics.begun(info);
    const question = this.#question(info, profile);
    const extenders = this.#extenders.for(info.pod);
    if (extenders) return this.#scheduleWithExtenders(question, profile, extenders);
    const decision = decide(question, this.#random);
    if (decision.kind === "unfit") {
      const through = timerOf(profile, this.#metrics)("PostFilter");
      const plan = this.#preemptor.plan(question, decision, profile.preemption);
      through(plan?.kind === "preempt" ? "Success" : "Unschedulable");
      this.#metrics.decided(info);
      this.#reject(info, decision, plan, profile);
    } else {
      this.#metrics.decided(info);
      this.#take(info, decision, profile, undefined);
    }
    return undefined;
  }

  async #scheduleWithExtenders(question: SearchQuestion, profile: RunningProfile, extenders: Extenders): Promise<void> {
    const { pod: info } = question;
    let decision: Decision;
    try {
      decision = await decideWithExtenders(question, extenders, this.#random);
    } catch (error) {
      return this.#fail(info, "an extender failed", error);
    }
    let plan: PreemptionPlan | undefined;
    if (decision.kind === "unfit") {
      const through = timerOf(profile, this.#metrics)("PostFilter");
      plan = await this.#preemptor.planWithExtenders(question, decision, profile.preemption, extenders);
      through(plan?.kind === "preempt" ? "Success" : "Unschedulable");
    }
    this.#metrics.decided(info);
    // It may have been deleted meanwhile, or bound by somebody else.
    if (!this.#queue.has(info.uid)) return;
    if (decision.kind === "unfit") this.#reject(info, decision, plan, profile);
    else this.#take(info, decision, profile, extenders);
  }

  #question(pod: PodInfo, profile: RunningProfile): SearchQuestion {
    const { plugins, percentageOfNodesToScore } = profile;
    const [cluster, nominated, search, timer] = [
      this.#view,
      this.#nominated,
      this.#search,
      timerOf(profile, this.#metrics),
    ];
    return { pod, plugins, cluster, nominated, search, percentageOfNodesToScore, timer };
  }

  #take(
    info: PodInfo,
    { node }: Extract<Decision, { kind: "fits" }>,
    profile: RunningProfile,
    extenders: Extenders | undefined,
  ): void {
    this.#cache.assume(info, node);
    const reserved = timerOf(profile, this.#metrics)("Reserve");
    for (const plugin of profile.plugins) plugin.reserve?.(info, node, this.#view);
    reserved("Success");
    this.#nominated.delete(info.uid);
    this.#inBackground(this.#binding.run(info, node, profile, extenders));
  }

  /** Nothing came of looking at the pod, and not for what the cluster is like. */
  #fail(info: PodInfo, what: "a decision failed" | "an extender failed", error: unknown): void {
    const level = what === "a decision failed" && !(error instanceof PluginError) ? "error" : "warn";
    this.#log[level](what, { pod: info.key, error });
    this.#metrics.ended(info, "error");
    this.#queue.retry(info);
    const profile = this.#profileOf(info.pod);
    if (profile) this.#inBackground(this.#binding.tellTrouble(info, profile, messageOf(error)));
  }

  #reject(info: PodInfo, unfit: Unfit, plan: PreemptionPlan | undefined, profile: RunningProfile): void {
    const { events } = profile;
    const message =
      unfit.nodeCount === 0 ? "no nodes available to schedule pods" : explainUnfit(unfit, whyStillUnfit(unfit, plan));
    let nominatedNodeName: string | undefined;
    if (plan?.kind === "preempt") nominatedNodeName = plan.candidate.node;
    else if (plan?.clearNomination || unfit.nodeCount === 0) nominatedNodeName = "";
    if (nominatedNodeName !== undefined) this.#nominated.nominate(info, nominatedNodeName);
    this.#metrics.ended(info, "unschedulable");
    if (plan?.kind === "preempt") this.#metrics.preempting(plan.candidate.victims.length);
    if (plan?.kind === "preempt") this.#preempting.add(info.uid);
    // Parked before anything is written, so that the changes which come of it find the pod waiting.
    this.#queue.park(info, unfit.plugins);
    events.record(info.pod, { ...failedScheduling, message });
    const candidate = plan?.kind === "preempt" ? plan.candidate : undefined;
    const { postFilter } = unfit;
    this.#inBackground(this.#afterRejection(profile, { info, message, nominatedNodeName, postFilter, candidate }));
  }

  async #afterRejection(
    profile: RunningProfile,
    { info, message, nominatedNodeName, postFilter, candidate }: Rejection,
  ): Promise<void> {
    try {
      for (const result of postFilter) await result.help?.(this.#client);
      await this.#statuses.unschedulable(info.pod, { reason: "Unschedulable", message, nominatedNodeName });
      if (candidate) await this.#preemptor.carryOut(info, candidate, profile);
    } catch (error) {
      if (isNotFound(error)) return;
      this.#log.warn("could not finish a rejection", { pod: info.key, error });
      // Nothing may ever happen that would wake it: what it needed was not written.
      if (candidate || postFilter.some(({ help }) => help)) this.#queue.retry(info);
    } finally {
      if (this.#preempting.delete(info.uid)) this.#queue.letIn(info.uid);
    }
  }

  #inBackground(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#log.error("work beside the loop failed", { error }))
      .finally(() => this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }

  #profileOf(pod: Pod): RunningProfile | undefined {
    return this.#profiles.get(schedulerNameOf(pod));
  }

  #keptOutBy(info: PodInfo): string | undefined {
    if (this.#preempting.has(info.uid)) return "DefaultPreemption";
    return this.#profileOf(info.pod)?.plugins.find((one) => one.keepsOut?.(info, this.#view))?.name;
  }

  #mayHelp(name: string, info: PodInfo, event: ClusterEvent): boolean {
    const plugin = this.#profileOf(info.pod)?.byName.get(name);
    if (!plugin) return true;
    if (plugin.wokenBy.has(event.change)) return plugin.mayHelp?.(info, event) ?? true;
    // Whoever is rejected for what nodes are like looks again when one is tainted or cordoned, or no longer, as upstream has
    // it: a node that was cleared for the pod may be no good any more.
    return (event.change === "nodeTaints" || event.change === "nodeOther") && plugin.wokenBy.has("nodeAdded");
  }

  readonly #view: ClusterView = {
    nodes: () => this.#cache.nodes(),
    node: (name) => this.#cache.node(name),
    namespaceLabels: (name) => this.#informers.lister(namespaces).get(name)?.metadata.labels ?? {},
    lister: (ref) => this.#informers.lister(ref),
  };
}

/** What came of the attempts to make room; empty where there were none, or room is made. */
function whyStillUnfit({ postFilter, postFilterFailure }: Unfit, plan: PreemptionPlan | undefined): string {
  if (postFilterFailure !== undefined) return postFilterFailure;
  if (plan?.kind === "preempt") return "";
  return [...postFilter.map(({ reason }) => reason), ...(plan ? [plan.message] : [])].join(", ");
}
