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

/**
 * What the scheduler writes into the status of pods. Nothing is written that stands there already. Writes into one pod follow one
 * another: of two under way at once the older could be made last, and would stand.
 */
export class PodStatusWriter {
  readonly #client: Client;
  readonly #clock: Clock;
  /** By UID, the write that is under way last: the pod as it is then, or nothing where it failed. */
  readonly #underWay = new Map<string, Promise<Pod | undefined>>();

  constructor(client: Client, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async unschedulable(pod: Pod, { reason, message, nominatedNodeName }: Unschedulable): Promise<void> {
    await this.#inTurn(pod, (present) => {
      const condition = this.#condition(present, { type: "PodScheduled", status: "False", reason, message });
      const nominationChanges =
        nominatedNodeName !== undefined && nominatedNodeName !== (present.status?.nominatedNodeName ?? "");
      if (!condition && !nominationChanges) return undefined;
      return {
        ...(condition ? conditionChange(present.status?.conditions, condition) : {}),
        ...(nominationChanges ? { nominatedNodeName: nominatedNodeName || null } : {}),
      };
    });
  }

  /** The pod as it is then. */
  async nominate(pod: Pod, nominatedNodeName: string): Promise<Pod> {
    return this.#inTurn(pod, ({ status }) =>
      status?.nominatedNodeName === nominatedNodeName ? undefined : { nominatedNodeName },
    );
  }

  async clearNomination(pod: Pod): Promise<void> {
    await this.#inTurn(pod, () => ({ nominatedNodeName: null }));
  }

  async markPreempted(victim: Pod, schedulerName: string): Promise<void> {
    await this.#inTurn(victim, (present) => {
      const condition = this.#condition(present, {
        type: "DisruptionTarget",
        status: "True",
        reason: "PreemptionByScheduler",
        message: `${schedulerName}: preempting to accommodate a higher priority pod`,
      });
      return condition && conditionChange(present.status?.conditions, condition);
    });
  }

  /** Resolves when nothing is being written into the pod any more; nothing where that is so already. */
  settled(uid: string): Promise<unknown> | undefined {
    return this.#underWay.get(uid);
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

  /** Writes what `change` gives for the pod as the write before left it, if that is anything; gives the pod as it is then. */
  async #inTurn(pod: Pod, change: (present: Pod) => object | undefined): Promise<Pod> {
    const { uid = "" } = pod.metadata;
    const before = this.#underWay.get(uid);
    const write = async (present: Pod): Promise<Pod> => {
      const status = change(present);
      return status ? this.#patch(present, status) : present;
    };
    const writing = before ? before.then((left) => write(left ?? pod)) : write(pod);
    const settled: Promise<Pod | undefined> = writing
      .catch(() => undefined)
      .finally(() => {
        if (this.#underWay.get(uid) === settled) this.#underWay.delete(uid);
      });
    this.#underWay.set(uid, settled);
    return writing;
  }

  #patch({ metadata }: Pod, status: object): Promise<Pod> {
    const { name = "", namespace, uid } = metadata;
    const body = { metadata: { uid }, status };
    return this.#client.patch(pods, { namespace, name }, { type: "strategic", body }, { subresource: "status" });
  }
}
