import type { NodeStatus, ObjectReference } from "#shared/api/types/core-v1.generated.ts";
import { strainTypes } from "#shared/board/strains.ts";
import type { EventToRecord } from "#shared/client/event-recorder.ts";
import { strainMessages } from "./node-status.ts";

/** How a kubelet names its own Node in events: `kubectl describe node` finds them by its name in place of the UID. */
export const boardReference = (name: string): ObjectReference => ({ apiVersion: "v1", kind: "Node", name, uid: name });

/** Reasons of upstream's kubelet for what becomes of a condition. */
const reasons = {
  MemoryPressure: { True: "NodeHasInsufficientMemory", False: "NodeHasSufficientMemory" },
  DiskPressure: { True: "NodeHasDiskPressure", False: "NodeHasNoDiskPressure" },
  PIDPressure: { True: "NodeHasInsufficientPID", False: "NodeHasSufficientPID" },
  Ready: { True: "NodeReady", False: "NodeNotReady" },
} as const;

export const statusOf = (status: NodeStatus | undefined, wanted: string): string | undefined =>
  status?.conditions?.find(({ type }) => type === wanted)?.status;

/** What has happened to a board between two of its statuses (pure). @param old undefined: it was not known. */
export function nodeEvents(name: string, next: NodeStatus, old: NodeStatus | undefined): EventToRecord[] {
  const events: EventToRecord[] = [];
  const bootId = next.nodeInfo?.bootID ?? "";
  const lastBootId = old?.nodeInfo?.bootID ?? "";
  if (lastBootId !== "" && lastBootId !== bootId) {
    const message = `Node ${name} has been rebooted, boot id: ${bootId}`;
    events.push({ type: "Warning", reason: "Rebooted", message });
  }
  for (const [type, words] of Object.entries(reasons)) {
    const status = statusOf(next, type);
    if (status === statusOf(old, type) || (status !== "True" && status !== "False")) continue;
    events.push(statusEvent(name, words[status]));
  }
  for (const type of strainTypes) {
    if (statusOf(next, type) !== "True" || statusOf(old, type) === "True") continue;
    events.push({ type: "Warning", reason: `Board${type}`, message: strainMessages[type] });
  }
  return events;
}

export const statusEvent = (name: string, reason: string): EventToRecord => ({
  type: "Normal",
  reason,
  message: `Node ${name} status is now: ${reason}`,
});
