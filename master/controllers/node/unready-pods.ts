import { isNotFound } from "#shared/api/errors.ts";
import { pods } from "#shared/api/resources.ts";
import type { ControllerContext } from "#shared/client/controller.ts";
import { isPodReady, writePodCondition } from "../pod-condition.ts";

/**
 * Pods of nodes that nothing is heard of count as not ready, so that Services leave them out. Remembers which nodes have
 * such pods left to mark: those whose pods have been looked at need no further look.
 */
export class UnreadyPods {
  readonly #nodes = new Set<string>();

  /** Pods of the node may count as ready that are not to. */
  expect(nodeName: string): void {
    this.#nodes.add(nodeName);
  }

  /** The node speaks for its pods again, or is gone. */
  forget(nodeName: string): void {
    this.#nodes.delete(nodeName);
  }

  /** Rejects with what a write rejects with; the node's pods are looked at again the next time then. */
  async mark(nodeName: string, context: ControllerContext): Promise<void> {
    if (!this.#nodes.delete(nodeName)) return;
    try {
      await markPodsNotReady(nodeName, context);
    } catch (error) {
      this.#nodes.add(nodeName);
      throw error;
    }
  }
}

async function markPodsNotReady(nodeName: string, { client, clock, lister, events }: ControllerContext): Promise<void> {
  for (const pod of lister(pods).byIndex("node", nodeName)) {
    if (!isPodReady(pod)) continue;
    const { reason, message } = pod.status?.conditions?.find(({ type }) => type === "Ready") ?? {};
    try {
      await writePodCondition(client, clock, pod, { type: "Ready", status: "False", reason, message });
      events.record(pod, { type: "Warning", reason: "NodeNotReady", message: "Node is not ready" });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
