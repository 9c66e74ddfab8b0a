import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { orAborted } from "#shared/client/or-aborted.ts";
import type { MemoryEnd } from "./container/container-resources.ts";
import type { CpuManager } from "./cpus/cpu-manager.ts";
import type { DeviceManager } from "./devices/device-manager.ts";
import { refuseDevices } from "./devices/refuse-devices.ts";
import { Limiter } from "./limiter.ts";
import { refuseAppArmor } from "./node/app-armor.ts";
import { isCritical } from "./node/eviction.ts";
import {
  type Obstacle,
  obstacles,
  type Refusal,
  refusalOf,
  refuseInvalid,
  refuseOutright,
  refuseUnfit,
} from "./node/pod-admission.ts";
import { type ResizeRefusal, refuseFixed, refuseResizeOutright, refuseSwapped } from "./node/pod-resize.ts";
import { podsToPreempt, shortageOf, shortageWithout } from "./node/preemption.ts";
import type { SysctlPattern } from "./node/sysctls.ts";
import { podUid } from "./pod-containers.ts";
import type { PodCounts } from "./pod-counts.ts";
import type { PodWorker } from "./pod-worker.ts";
import { atMost_s } from "./spec-time.ts";

export interface PodAdmitterOptions {
  /** The other pods' workers that hold resources of the board. */
  holders(pod: Pod): readonly PodWorker[];
  /** The Node with what the board reports now; undefined before it is registered. */
  node(): Node | undefined;
  /** The Node as the API has it at this moment. */
  readNode(): Promise<Node>;
  /** Why no pod starts here any more. */
  refuseAll(): Refusal | undefined;
  readonly devices: DeviceManager | undefined;
  readonly cpus: Pick<CpuManager, "allocate" | "release"> | undefined;
  /** Of guaranteed pods: may it not be resized? */
  readonly fixed: { readonly cpu: boolean; readonly memory: boolean };
  /** Whether containers may swap. */
  readonly memoryEnd: MemoryEnd;
  readonly hasAppArmor: boolean;
  /** Sysctls that pods may set beside the safe ones. */
  readonly allowedSysctls: readonly SysctlPattern[];
  readonly counts: PodCounts;
  readonly log: Log;
}

interface Room {
  /** Pods that end, or have been told to; with them there is room. */
  readonly waitFor: readonly PodWorker[];
}

/** Why a pod is preempted, in upstream's words. */
const preempted = {
  reason: "Preempting",
  message: "Preempted in order to admit critical pod",
  disruption: "Pod was preempted by Kubelet to accommodate a critical pod.",
};
/** What a pod that is preempted gets beside its grace period, ms (upstream's figures): half as much again, but at least this. */
const leastWait_ms = 10_000;

/**
 * Lets pods onto the board, one after the other: what one is granted, the next does not find. A critical pod is not
 * refused for lack of room while others of less weight have some: they are ended for it.
 */
export class PodAdmitter {
  readonly #turns = new Limiter(1);

  constructor(readonly options: PodAdmitterOptions) {}

  /**
   * @param taken called when the pod is let in: from then on it holds what it asks for
   * @returns why it may not run here; undefined when it may, and has room. Rejects with the reason of the signal.
   */
  async admit(pod: Pod, signal: AbortSignal, taken: () => void): Promise<Refusal | undefined> {
    const verdict = await this.#turns.run(async () => {
      signal.throwIfAborted();
      const verdict = await this.#judge(pod);
      if ("waitFor" in verdict) taken();
      else {
        this.options.devices?.release(podUid(pod));
        this.options.cpus?.release(podUid(pod));
      }
      return verdict;
    });
    if (!("waitFor" in verdict)) {
      this.options.counts.refused(verdict.reason);
      return verdict;
    }
    await orAborted(signal, Promise.all(verdict.waitFor.map(endedInTime)));
    return undefined;
  }

  /**
   * May a pod that runs here have the resources of its spec, beside the others? A critical one for which there is no room has others
   * end, as when it is let in, and is refused until they have.
   */
  refuseResize(pod: Pod, granted: Pod): ResizeRefusal | undefined {
    const node = this.options.node();
    if (!node) return undefined;
    const { fixed, memoryEnd } = this.options;
    const never =
      refuseSwapped(pod, granted, memoryEnd) ?? refuseFixed(pod, granted, fixed) ?? refuseResizeOutright(pod, node);
    if (never) return never;
    const others = this.options.holders(pod).map(({ granted }) => granted);
    const unfit = refuseOutright(pod, node, this.options.allowedSysctls) ?? refuseUnfit(pod, node);
    if (unfit) return { reason: "Deferred", message: unfit.message };
    const inTheWay = obstacles(pod, node, others);
    const [first] = inTheWay;
    if (!first) return undefined;
    const room = this.#makeRoom(pod, inTheWay);
    // It is asked for again when those that go for it have gone.
    return { reason: "Deferred", message: ("waitFor" in room ? refusalOf(first) : room).message };
  }

  async #judge(pod: Pod): Promise<Refusal | Room> {
    const { options } = this;
    const never = refuseInvalid(pod) ?? options.refuseAll();
    if (never) return never;
    const node = options.node();
    const outright = node && refuseOutright(pod, node, options.allowedSysctls);
    if (outright) return outright;
    const lacking = (await refuseDevices(options.devices, pod)) ?? options.cpus?.allocate(pod);
    if (lacking) return lacking;
    if (!node) return { waitFor: [] };
    const unfit = refuseUnfit(pod, node) ?? refuseAppArmor(pod, options.hasAppArmor);
    if (unfit) return unfit;
    const inTheWay = await this.#obstacles(pod, node);
    return inTheWay.length === 0 ? { waitFor: [] } : this.#makeRoom(pod, inTheWay);
  }

  /** Labels may have come that the scheduler has seen before this board: they are read again before a pod is refused for them. */
  async #obstacles(pod: Pod, node: Node): Promise<Obstacle[]> {
    const among = (node: Node): Obstacle[] =>
      obstacles(
        pod,
        node,
        this.options.holders(pod).map(({ granted }) => granted),
      );
    const found = among(node);
    if (found.length === 0 || found.some((each) => each.kind === "resource" || each.name !== "NodeAffinity"))
      return found;
    try {
      const { metadata, spec } = await this.options.readNode();
      return among({ ...node, metadata, spec });
    } catch (error) {
      this.options.log.warn("the node could not be read again", { error });
      return found;
    }
  }

  /** Has others end if that is all that a critical pod needs. */
  #makeRoom(pod: Pod, inTheWay: readonly Obstacle[]): Refusal | Room {
    const lacking = inTheWay.filter((each) => each.kind === "resource");
    const other = inTheWay.find((each) => each.kind !== "resource");
    const first = isCritical(pod) ? other : inTheWay[0];
    if (first) return refusalOf(first);

    const holders = this.options.holders(pod);
    const ending = holders.filter((worker) => worker.ending);
    const short = shortageWithout(
      shortageOf(lacking),
      ending.map(({ granted }) => granted),
    );
    const staying = new Map(holders.filter((worker) => !worker.ending).map((worker) => [worker.granted, worker]));
    const chosen = podsToPreempt(pod, [...staying.keys()], short);
    if (!chosen) return noRoom(shortageWithout(short, [...staying.keys()]));
    const victims = chosen.flatMap((each) => staying.get(each) ?? []);
    for (const victim of victims) this.#preempt(victim, lacking[0]?.resource ?? "");
    return { waitFor: [...ending, ...victims] };
  }

  #preempt(worker: PodWorker, resource: string): void {
    const { namespace, name } = worker.pod.metadata;
    this.options.log.warn("a pod is ended to make room for a critical one", { pod: `${namespace}/${name}` });
    worker.fail({ ...preempted, grace_s: gracePeriod_s(worker.pod) });
    this.options.counts.preempted(resource);
  }
}

const gracePeriod_s = ({ metadata, spec }: Pod): number =>
  metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 0;

/** Resolves when the pod has ended, or has taken far longer than it was granted: the critical pod then starts beside it. */
async function endedInTime(worker: PodWorker): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(atMost_s(gracePeriod_s(worker.pod) * 1.5) * 1000, leastWait_ms));
  try {
    await Promise.race([worker.stoppedAll, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function noRoom(short: ReadonlyMap<string, number>): Refusal {
  const amounts = [...short].map(([resource, amount]) => `(res: ${resource}, q: ${amount}), `).join("");
  const why = `no set of running pods found to reclaim resources: [${amounts}]`;
  const error = `preemption: error finding a set of pods to preempt: ${why}`;
  const message = `Unexpected error while attempting to recover from admission failure: ${error}`;
  return { reason: "UnexpectedAdmissionError", message };
}
