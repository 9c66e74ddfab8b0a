import { conditionChange } from "#shared/api/patch/condition-change.ts";
import { pods } from "#shared/api/resources.ts";
import type { Pod, PodCondition } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, timestamp } from "#shared/client/clock.ts";

export interface Unschedulable {
  readonly reason: "Unschedulable" | "SchedulerError";
  readonly message: string;
  /** Absent: stays as it is; empty: taken away. */
  readonly nominatedNodeName?: string | undefined;
}

/** What the scheduler writes into the status of pods. Nothing is written that stands there already. */
export class PodStatusWriter {
  readonly #client: Client;
  readonly #clock: Clock;

  constructor(client: Client, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async unschedulable(pod: Pod, { reason, message, nominatedNodeName }: Unschedulable): Promise<void> {
    const condition = this.#condition(pod, { type: "PodScheduled", status: "False", reason, message });
    const nominationChanges =
      nominatedNodeName !== undefined && nominatedNodeName !== (pod.status?.nominatedNodeName ?? "");
    if (!condition && !nominationChanges) return;
    await this.#patch(pod, {
      ...(condition ? conditionChange(pod.status?.conditions, condition) : {}),
      ...(nominationChanges ? { nominatedNodeName: nominatedNodeName || null } : {}),
    });
  }

  /** The pod as it is then. */
  async nominate(pod: Pod, nominatedNodeName: string): Promise<Pod> {
    return pod.status?.nominatedNodeName === nominatedNodeName ? pod : this.#patch(pod, { nominatedNodeName });
  }

  async clearNomination(pod: Pod): Promise<void> {
    await this.#patch(pod, { nominatedNodeName: null });
  }

  async markPreempted(victim: Pod, schedulerName: string): Promise<void> {
    const condition = this.#condition(victim, {
      type: "DisruptionTarget",
      status: "True",
      reason: "PreemptionByScheduler",
      message: `${schedulerName}: preempting to accommodate a higher priority pod`,
    });
    if (condition) await this.#patch(victim, conditionChange(victim.status?.conditions, condition));
  }

  /** Undefined when the pod says so already. */
  #condition(pod: Pod, wanted: Omit<PodCondition, "lastTransitionTime">): PodCondition | undefined {
    const present = pod.status?.conditions?.find(({ type }) => type === wanted.type);
    const { generation } = pod.metadata;
    if (present?.status === wanted.status && present.reason === wanted.reason && present.message === wanted.message)
      return undefined;
    return {
      ...wanted,
      lastTransitionTime:
        present?.status === wanted.status && present.lastTransitionTime
          ? present.lastTransitionTime
          : timestamp(this.#clock),
      ...(generation !== undefined ? { observedGeneration: generation } : {}),
    };
  }

  #patch({ metadata }: Pod, status: object): Promise<Pod> {
    const { name = "", namespace, uid } = metadata;
    const body = { metadata: { uid }, status };
    return this.#client.patch(pods, { namespace, name }, { type: "strategic", body }, { subresource: "status" });
  }
}
