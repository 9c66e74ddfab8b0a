import type { ConnectionLimits } from "#shared/net/connection-watch.ts";

/**
 * What boards and the broker say to each other over MQTT 3.1.1.
 *
 * `bramble/v1/nodes/<node>/session` (QoS 1, retained) holds the state of a board's session. The board sets it when it
 * connects and when it leaves on purpose; its last will sets it to `lost`.
 */
export type SessionState =
  /** The session lives. */
  | "online"
  /** Announced: the agent restarts or is upgraded; its pods go on. */
  | "leaving"
  /** The session ended without a word. */
  | "lost";

export interface SessionMessage {
  readonly state: SessionState;
  /** The kernel's boot id: tells a reboot from a reconnect. */
  readonly bootId: string;
  /** Grows with every session within one boot: hundredths of seconds since boot when it began. */
  readonly session: number;
}

/** Annotations of a node's Lease in kube-node-lease that carry the session to whoever reads the API. */
export const sessionStateAnnotation = "bramble.dev/session-state";
export const sessionIdAnnotation = "bramble.dev/session";

export const nodeLeaseNamespace = "kube-node-lease";
/** Kubelets' usual value; renewed at a quarter of it. */
export const leaseDuration_s = 40;

/** A session's connection: a board without power or link shows within 4 s, and a radio link may be gone for 3 s. */
export const sessionLimits: ConnectionLimits = { dead_ms: 3_800, idle_s: 2, interval_s: 1 };

const prefix = "bramble/v1/nodes/";

export const sessionTopic = (node: string): string => `${prefix}${node}/session`;
/** All of a board's topics begin with this; it may publish nowhere else. */
export const nodeTopics = (node: string): string => `${prefix}${node}/`;

export function nodeOfSessionTopic(topic: string): string | undefined {
  const match = /^bramble\/v1\/nodes\/([^/]+)\/session$/.exec(topic);
  return match?.[1];
}

/** undefined for anything that is not such a message: payloads come from boards and are not trusted. */
export function parseSessionMessage(payload: string | Uint8Array): SessionMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(typeof payload === "string" ? payload : new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { state, bootId, session } = value as Record<string, unknown>;
  if (state !== "online" && state !== "leaving" && state !== "lost") return undefined;
  if (typeof bootId !== "string" || bootId.length > 64 || !Number.isSafeInteger(session)) return undefined;
  return { state, bootId, session: session as number };
}

/**
 * Is `next` news, given what was last taken? Within one boot a smaller session number is older and never wins, and an
 * ended session does not begin again; another boot id is another life of the board. A loss counts only for the session
 * that was known to live: one that broke before it was announced says nothing about the board.
 */
export function supersedes(next: SessionMessage, last: SessionMessage | undefined): boolean {
  if (next.state === "lost") {
    return last?.state === "online" && next.bootId === last.bootId && next.session === last.session;
  }
  if (!last || next.bootId !== last.bootId) return next.state === "online" || !last;
  if (next.session !== last.session) return next.session > last.session;
  return next.state !== last.state && next.state !== "online";
}
