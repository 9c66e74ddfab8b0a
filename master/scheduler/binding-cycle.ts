import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import type { Extenders } from "./extenders/extenders.ts";
import type { ClusterView } from "./framework.ts";
import type { NominatedPods } from "./nominated-pods.ts";
import { PodInfo } from "./pod-info.ts";
import type { PodStatusWriter } from "./pod-status-writer.ts";
import { type RunningProfile, timerOf } from "./running-profile.ts";
import type { SchedulerMetrics } from "./scheduler-metrics.ts";
import type { SchedulingQueue } from "./scheduling-queue.ts";

export interface BindingParts {
  readonly client: Client;
  readonly cache: ClusterCache;
  readonly queue: SchedulingQueue;
  readonly nominated: NominatedPods;
  readonly statuses: PodStatusWriter;
  readonly metrics: SchedulerMetrics;
  readonly cluster: ClusterView;
  readonly log: Log;
  /** What fails then is nothing to tell of. */
  readonly isStopping: () => boolean;
}

/** What has to be done for a pod that has its node: first what plugins need there, then the Binding. */
export class BindingCycle {
  constructor(private readonly parts: BindingParts) {}

  /** Never rejects but for what the pod could not be told. */
  async run(info: PodInfo, nodeName: string, profile: RunningProfile, extenders: Extenders | undefined): Promise<void> {
    const { metrics, queue, log } = this.parts;
    const { name = "", namespace = "" } = info.pod.metadata;
    let told = info;
    try {
      told = await this.#announce(info, nodeName, profile);
      if (!(await this.#prepare(told, nodeName, profile))) return;
      // That no node took it before must not be what its status says last.
      await this.parts.statuses.settled(info.uid);
      await this.#bind(info, nodeName, profile, extenders);
      metrics.ended(info, "scheduled");
      const effort = queue.effortOf(info.uid);
      if (effort) metrics.bound(effort);
      queue.delete(info.uid);
      profile.events.record(info.pod, {
        type: "Normal",
        reason: "Scheduled",
        action: "Binding",
        message: `Successfully assigned ${namespace}/${name} to ${nodeName}`,
      });
    } catch (failure) {
      const cause = failure instanceof BindingError ? failure.cause : failure;
      this.#giveBack(info);
      await this.#unreserve(info, profile);
      if (isNotFound(cause)) return queue.delete(info.uid);
      if (!queue.has(info.uid)) return;
      metrics.ended(info, "error");
      queue.retry(info);
      // Another was quicker.
      if (isConflict(cause) || this.parts.isStopping())
        return log.debug("a binding was refused", { pod: info.key, error: cause });
      log.warn("a binding failed", { pod: info.key, error: cause });
      await this.tellTrouble(told, profile, messageOf(failure));
    } finally {
      for (const plugin of profile.plugins) plugin.release?.(info);
    }
  }

  /** What kept the pod from its node had nothing to do with the nodes. */
  async tellTrouble(info: PodInfo, { events }: RunningProfile, message: string): Promise<void> {
    const { nominated, statuses } = this.parts;
    nominated.delete(info.uid);
    events.record(info.pod, { type: "Warning", reason: "FailedScheduling", action: "Scheduling", message });
    try {
      await statuses.unschedulable(info.pod, { reason: "SchedulerError", message, nominatedNodeName: "" });
    } catch (failure) {
      if (!isNotFound(failure)) throw failure;
    }
  }

  /** Whether the pod can be bound now; if not, it waits for what was asked for, with its room kept. */
  async #prepare(info: PodInfo, nodeName: string, profile: RunningProfile): Promise<boolean> {
    const { client, cache, queue, cluster, nominated } = this.parts;
    const { plugins } = profile;
    const through = timerOf(profile, this.parts.metrics)("PreBind");
    try {
      for (const plugin of plugins) {
        try {
          if ((await plugin.preBind?.(info, nodeName, client, cluster)) !== "pending") continue;
        } catch (error) {
          throw new BindingError(`running PreBind plugin ${JSON.stringify(plugin.name)}`, error);
        }
        through("Pending");
        cache.forget(info.uid);
        queue.park(info, new Set([plugin.name]));
        if (!queue.has(info.uid)) return false;
        nominated.nominate(info, nodeName);
        queue.set(info);
        return false;
      }
    } catch (error) {
      through("Error");
      throw error;
    }
    through("Success");
    return true;
  }

  /** Says where the pod is about to go where what it needs there may take long (KEP-5278); gives the pod as it is then. */
  async #announce(info: PodInfo, nodeName: string, { plugins }: RunningProfile): Promise<PodInfo> {
    if (!plugins.some((plugin) => plugin.hasPreBind?.(info, this.parts.cluster))) return info;
    try {
      return new PodInfo(await this.parts.statuses.nominate(info.pod, nodeName));
    } catch (error) {
      // It can be bound without.
      this.parts.log.debug("where a pod goes could not be said", { pod: info.key, error });
      return info;
    }
  }

  async #bind(
    { pod }: PodInfo,
    nodeName: string,
    profile: RunningProfile,
    extenders: Extenders | undefined,
  ): Promise<void> {
    const through = timerOf(profile, this.parts.metrics)("Bind");
    try {
      if (!(await boundByExtender(pod, nodeName, extenders))) await this.#writeBinding(pod, nodeName);
    } catch (error) {
      through("Error");
      throw error;
    }
    through("Success");
  }

  async #writeBinding({ metadata }: Pod, nodeName: string): Promise<void> {
    const { name = "", namespace = "", uid } = metadata;
    try {
      await this.parts.client.post(pods, { namespace, name }, "binding", {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { namespace, name, uid },
        target: { kind: "Node", name: nodeName },
      });
    } catch (error) {
      throw new BindingError('running Bind plugin "DefaultBinder"', error);
    }
  }

  async #unreserve(info: PodInfo, { plugins }: RunningProfile): Promise<void> {
    const { client, cluster, log } = this.parts;
    for (const plugin of plugins.toReversed()) {
      try {
        await plugin.unreserve?.(info, client, cluster);
      } catch (error) {
        log.warn("what was reserved for a pod could not be given back", { pod: info.key, plugin: plugin.name, error });
      }
    }
  }

  #giveBack(info: PodInfo): void {
    this.parts.cache.forget(info.uid);
    this.parts.queue.notice({ change: "podDeleted", freed: info });
  }
}

/** Why a pod was not bound, as it is told: the step, and what went wrong in it. */
class BindingError extends Error {
  override readonly name = "BindingError";
  constructor(step: string, cause: unknown) {
    const why = messageOf(cause);
    super(step === "" ? why : `${step}: ${why}`, { cause });
  }
}

async function boundByExtender(pod: Pod, nodeName: string, extenders: Extenders | undefined): Promise<boolean> {
  try {
    return (await extenders?.bind(pod, nodeName)) ?? false;
  } catch (error) {
    throw new BindingError("", error);
  }
}
