import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { podDisruptionBudgets, pods } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import type { Profile } from "./configuration/profile.ts";
import type { SearchQuestion, Unfit } from "./cycle.ts";
import type { Extenders } from "./extenders/extenders.ts";
import type { NominatedPods } from "./nominated-pods.ts";
import type { PodInfo } from "./pod-info.ts";
import type { PodStatusWriter } from "./pod-status-writer.ts";
import {
  type NoPreemption,
  type PreemptionCandidate,
  type PreemptionCandidates,
  type PreemptionPlan,
  preemptionCandidates,
  preemptionPlan,
} from "./preemption.ts";

export interface PreemptorOptions {
  readonly client: Client;
  readonly informers: InformerFactory;
  readonly nominated: NominatedPods;
  readonly statuses: PodStatusWriter;
  readonly log: Log;
}

/** Makes room for pods that no node takes: by pods of lower priority that go. */
export class Preemptor {
  constructor(private readonly options: PreemptorOptions) {}

  /** Undefined where there is nothing to say of preemption. */
  plan(question: SearchQuestion, unfit: Unfit, preemption: Profile["preemption"]): PreemptionPlan | undefined {
    const found = this.#candidates(question, unfit, preemption);
    return found && preemptionPlan(found);
  }

  /** An extender that fails keeps the preemption from happening: the plan says so. */
  async planWithExtenders(
    question: SearchQuestion,
    unfit: Unfit,
    preemption: Profile["preemption"],
    extenders: Extenders,
  ): Promise<PreemptionPlan | undefined> {
    const found = this.#candidates(question, unfit, preemption);
    if (found?.kind !== "candidates") return found;
    const { pod: info, cluster } = question;
    const known = this.options.informers.lister(pods);
    try {
      const candidates = await extenders.preempt(
        info.pod,
        found.candidates,
        (node) => cluster.node(node)?.pods,
        (victim) => known.get(victim.key) ?? victim.pod,
      );
      return preemptionPlan({ kind: "candidates", candidates });
    } catch (error) {
      this.options.log.warn("an extender failed at a preemption", { pod: info.key, error });
      const message = `preemption: ${messageOf(error)}`;
      return { kind: "none", message, clearNomination: false };
    }
  }

  /** Deletes the victims. Rejects with StatusError. */
  async carryOut(
    info: PodInfo,
    { node, victims }: PreemptionCandidate,
    { schedulerName, events }: Pick<Profile, "schedulerName"> & { readonly events: EventRecorder },
  ): Promise<void> {
    const { client, nominated, statuses } = this.options;
    // Those that are going already need no telling.
    const staying = victims.filter(({ pod }) => pod.metadata.deletionTimestamp === undefined);
    if (staying.length === 0) return;
    // Pods of lower priority that were to come to this node have to look anew.
    for (const other of nominated.on(node)) {
      if (other.priority >= info.priority) continue;
      nominated.delete(other.uid);
      await statuses.clearNomination(other.pod);
    }
    for (const { pod } of staying) {
      try {
        await statuses.markPreempted(pod, schedulerName);
        const { name = "", namespace, uid } = pod.metadata;
        await client.delete(pods, { namespace, name }, { preconditions: { uid } });
        events.record(pod, {
          type: "Normal",
          reason: "Preempted",
          action: "Preempting",
          related: info.pod,
          message: `Preempted by pod ${info.uid} on node ${node}`,
        });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
    }
  }

  #candidates(
    question: SearchQuestion,
    unfit: Unfit,
    preemption: Profile["preemption"],
  ): PreemptionCandidates | NoPreemption | undefined {
    if (unfit.nodeCount === 0 || unfit.postFilterFailure !== undefined || !preemption) return undefined;
    const budgets = this.options.informers.lister(podDisruptionBudgets).list();
    return preemptionCandidates(question, unfit, budgets, preemption);
  }
}
