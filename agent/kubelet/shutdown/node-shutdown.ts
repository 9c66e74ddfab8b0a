import { setTimeout as delay } from "node:timers/promises";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { boardReference } from "../node/node-events.ts";
import type { Refusal } from "../node/pod-admission.ts";
import type { PodWorker } from "../pod-worker.ts";
import { byClass, type PriorityGrace, podGrace_s } from "./grace-periods.ts";

export interface NodeShutdownOptions {
  readonly classes: readonly PriorityGrace[];
  readonly nodeName: string;
  readonly recorder: EventRecorder;
  readonly log: Log;
  workers(): Iterable<PodWorker>;
  /** Does the API know how each pod ended? */
  isTold(podUid: string): boolean;
  /** The Node says something else than before. */
  reportNode(): void;
}

const look_ms = 100;
/** How long the end of the last pods may take to reach the API. */
const telling_ms = 3_000;
const shutdownReason = "Terminated";
const shutdownMessage = "Pod was terminated in response to imminent node shutdown.";

/** Was the pod ended because its board went down, and nobody had asked for its end? */
export const endedByShutdown = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined && status?.reason === shutdownReason && status.message === shutdownMessage;

/**
 * Ends the board's pods before the board does, class by class in the order of their priority, each with its grace (KEP-2000,
 * KEP-2712). Reasons and messages as upstream's.
 */
export class NodeShutdown {
  #ending: Promise<void> | undefined;

  constructor(readonly options: NodeShutdownOptions) {}

  /** Why the Node is not ready; undefined when no shutdown is under way. */
  get trouble(): string | undefined {
    return this.#ending && "node is shutting down";
  }

  /** No pod starts on a board that is about to end. */
  refuse(): Refusal | undefined {
    if (!this.#ending) return undefined;
    return { reason: "NodeShutdown", message: "Pod was rejected as the node is shutting down." };
  }

  /** Resolves when the pods have ended or their time has. Begins once, however often it is called. */
  begin(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /** The board goes on after all: pods may come again. Those that were ended stay so. */
  async cancel(): Promise<void> {
    await this.#ending;
    if (!this.#ending) return;
    this.#ending = undefined;
    this.#tell("Shutdown manager detected shutdown cancellation");
  }

  async #end(): Promise<void> {
    const { classes, log } = this.options;
    // Whoever asks meanwhile, such as a report of the Node, must see that it is under way.
    await Promise.resolve();
    this.#tell("Shutdown manager detected shutdown event");
    const running = [...this.options.workers()].filter(({ ended }) => !ended);
    log.info("the board shuts down: its pods are ended", { pods: running.length });
    for (const { grace_s, members } of byClass(classes, running, ({ pod }) => pod)) {
      for (const worker of members) {
        const ofPod_s = podGrace_s(worker.pod, grace_s);
        worker.fail({
          reason: shutdownReason,
          message: shutdownMessage,
          grace_s: ofPod_s,
          disruption: shutdownMessage,
        });
      }
      const late = await this.#until(grace_s * 1000, () => members.filter(({ ended }) => !ended));
      for (const { pod } of late) log.warn("a pod has not ended in its time", { pod: pod.metadata.name, grace_s });
    }
    await this.#until(telling_ms, () => running.filter(({ uid, ended }) => ended && !this.options.isTold(uid)));
    log.info("the board's pods have ended");
  }

  /** Waits until there is nothing left. Gives what is left when the time is over. */
  async #until<T>(time_ms: number, left: () => readonly T[]): Promise<readonly T[]> {
    const end_ms = performance.now() + time_ms;
    let remaining = left();
    while (remaining.length > 0 && performance.now() < end_ms) {
      await delay(look_ms);
      remaining = left();
    }
    return remaining;
  }

  #tell(message: string): void {
    const { recorder, nodeName: name, reportNode } = this.options;
    recorder.record(boardReference(name), { type: "Normal", reason: "Shutdown", message });
    reportNode();
  }
}
