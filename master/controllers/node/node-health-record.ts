import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { sessionStateAnnotation } from "#shared/heartbeat/messages.ts";
import { type HealthSettings, type Heard, hear, type SignsOfLife } from "./health.ts";

/** What the controller remembers of one node from look to look. */
export interface NodeHealthRecord {
  readonly uid: string | undefined;
  readonly heard: Heard;
  /** What was known of the node when its session was first seen as lost. */
  readonly lastSigns: SignsOfLife | undefined;
  /** Status of the Ready condition, `none` without one; undefined before the first look has come to its end. */
  readonly ready: string | undefined;
  /** It is not believed to be well, though it is still given time. */
  readonly isDoubtful: boolean;
}

/** The record with what node and Lease show now taken in (pure). */
export function heardAgain(
  last: NodeHealthRecord | undefined,
  node: Node,
  lease: Lease | undefined,
  now_ms: number,
  settings: HealthSettings,
): NodeHealthRecord {
  const heard = hear(node, lease, last?.heard, now_ms, settings);
  const isLost = lease?.metadata.annotations?.[sessionStateAnnotation] === "lost";
  const wasLost = last?.heard.session === heard.session;
  return {
    uid: node.metadata.uid,
    heard,
    lastSigns: isLost ? (wasLost && last?.lastSigns ? last.lastSigns : heard) : undefined,
    ready: last?.ready,
    isDoubtful: last?.isDoubtful ?? false,
  };
}
