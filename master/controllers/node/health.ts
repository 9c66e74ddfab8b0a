import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { Node, NodeCondition } from "#shared/api/types/core-v1.generated.ts";
import { sessionIdAnnotation, sessionStateAnnotation } from "#shared/heartbeat/messages.ts";

export interface HealthSettings {
  /** Silence after which a node counts as unreachable. */
  readonly grace_ms: number;
  /** The same for a node that this process has not heard of since it began: boards need a while to find a master that was
   *  away, longer than their longest pause between two tries. */
  readonly firstSightGrace_ms: number;
  /** The same for a node that has never reported. */
  readonly startupGrace_ms: number;
  /** The same after an agent has announced that it leaves for a moment. */
  readonly leavingGrace_ms: number;
  /** A board that was lost and back within `quickReturn_ms` so often in the last `flapping_ms` has a bad link: its next
   *  loss counts only after `flappingGrace_ms`, and hardly a pod is disturbed. */
  readonly quickReturns: number;
  readonly quickReturn_ms: number;
  readonly flapping_ms: number;
  readonly flappingGrace_ms: number;
}

export const defaultHealthSettings: HealthSettings = {
  grace_ms: 20_000,
  firstSightGrace_ms: 45_000,
  startupGrace_ms: 60_000,
  leavingGrace_ms: 60_000,
  quickReturns: 3,
  quickReturn_ms: 10_000,
  flapping_ms: 300_000,
  flappingGrace_ms: 20_000,
};

/** What was last heard of a node, by the monotonic clock of this process: written times are never compared. */
export interface Heard {
  readonly heartbeat: string;
  readonly renewal: string;
  readonly session: string;
  readonly at_ms: number;
  /** Something has changed since the first sight: the node lives. */
  readonly hasSpoken: boolean;
  /** When its session was lost, the last few times; those after which it stayed away for long are left out. */
  readonly losses_ms: readonly number[];
}

export type SignsOfLife = Pick<Heard, "heartbeat" | "renewal">;

const isSilentSince = (now: SignsOfLife, then: SignsOfLife): boolean =>
  now.heartbeat === then.heartbeat && now.renewal === then.renewal;

export type Reachability =
  | {
      readonly kind: "reachable";
      readonly lookAgainAfter_ms: number;
      /** Its session is lost; only for its bad link is it given time to come back. */
      readonly isDoubtful: boolean;
    }
  | { readonly kind: "unreachable" };

/** Takes in what the API shows now (pure). A first sight counts as a sign of life, unless the session is known to be lost. */
export function hear(
  node: Node,
  lease: Lease | undefined,
  last: Heard | undefined,
  now_ms: number,
  settings: Pick<HealthSettings, "quickReturn_ms"> = defaultHealthSettings,
): Heard {
  const { annotations } = lease?.metadata ?? {};
  const now = {
    heartbeat: String(readyCondition(node)?.lastHeartbeatTime ?? ""),
    renewal: String(lease?.spec?.renewTime ?? ""),
    session: `${annotations?.[sessionIdAnnotation] ?? ""} ${annotations?.[sessionStateAnnotation] ?? ""}`,
  };
  const losses_ms = lossesAfter(last, now.session, now_ms, settings.quickReturn_ms);
  if (!last) return { ...now, at_ms: now_ms, hasSpoken: false, losses_ms };
  const alive = now.heartbeat !== last.heartbeat || now.renewal !== last.renewal || isNewLeave(now.session, last);
  return { ...now, at_ms: alive ? now_ms : last.at_ms, hasSpoken: alive || last.hasSpoken, losses_ms };
}

const mostLosses = 10;

function lossesAfter(
  last: Heard | undefined,
  session: string,
  now_ms: number,
  quickReturn_ms: number,
): readonly number[] {
  const known = last?.losses_ms ?? [];
  if (session === last?.session) return known;
  if (session.endsWith(" lost")) return [...known, now_ms].slice(-mostLosses);
  const since_ms = now_ms - (known.at(-1) ?? now_ms);
  return last?.session.endsWith(" lost") && since_ms > quickReturn_ms ? known.slice(0, -1) : known;
}

const isNewLeave = (session: string, last: Heard): boolean => session !== last.session && session.endsWith(" leaving");

/**
 * Whether the node can be relied on (pure). The broker's word that a session ended without notice counts at once; a
 * sign of life after it (a kubelet that renews by itself, or that has started again and reports before its session has
 * begun) outweighs it.
 * @param lastSigns what was last known when the session was first seen as lost.
 */
export function judge(
  node: Node,
  lease: Lease | undefined,
  heard: Heard,
  lastSigns: SignsOfLife | undefined,
  now_ms: number,
  settings: HealthSettings,
): Reachability {
  const state = lease?.metadata.annotations?.[sessionStateAnnotation];
  if (state === "lost" && (!lastSigns || isSilentSince(heard, lastSigns))) {
    const recent = heard.losses_ms.filter((at_ms) => now_ms - at_ms < settings.flapping_ms);
    // The last is the one that is judged.
    const isFlapping = recent.length > settings.quickReturns;
    const left_ms = isFlapping ? (recent.at(-1) ?? 0) + settings.flappingGrace_ms - now_ms : 0;
    return reachableFor(left_ms, true);
  }
  let grace_ms = heard.hasSpoken ? settings.grace_ms : Math.max(settings.grace_ms, settings.firstSightGrace_ms);
  if (!readyCondition(node)) grace_ms = settings.startupGrace_ms;
  else if (state === "leaving") grace_ms = settings.leavingGrace_ms;
  const left_ms = grace_ms - (now_ms - heard.at_ms);
  return reachableFor(left_ms, false);
}

const reachableFor = (left_ms: number, isDoubtful: boolean): Reachability =>
  left_ms > 0 ? { kind: "reachable", lookAgainAfter_ms: left_ms, isDoubtful } : { kind: "unreachable" };

export const readyCondition = ({ status }: Node): NodeCondition | undefined =>
  status?.conditions?.find(({ type }) => type === "Ready");

export const isNodeReady = (node: Node): boolean => readyCondition(node)?.status === "True";

/** Conditions that a kubelet keeps and that nobody knows without it. */
const kubeletConditions = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/** The node's conditions when it is unreachable; undefined when they say so already (pure). */
export function unknownConditions(node: Node, now: string): NodeCondition[] | undefined {
  const present = node.status?.conditions ?? [];
  let changed = false;
  const conditions = present.map((condition) => {
    if (!kubeletConditions.includes(condition.type) || condition.status === "Unknown") return condition;
    changed = true;
    return {
      ...condition,
      status: "Unknown",
      reason: "NodeStatusUnknown",
      message: "Kubelet stopped posting node status.",
      lastTransitionTime: now,
    };
  });
  for (const type of kubeletConditions) {
    if (present.some((condition) => condition.type === type)) continue;
    changed = true;
    conditions.push({
      type,
      status: "Unknown",
      reason: "NodeStatusNeverUpdated",
      message: "Kubelet never posted node status.",
      lastHeartbeatTime: node.metadata.creationTimestamp,
      lastTransitionTime: now,
    });
  }
  return changed ? conditions : undefined;
}
