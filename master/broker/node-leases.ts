import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { leases, nodes } from "#shared/api/resources.ts";
import { rfc3339Micro } from "#shared/api/time.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import {
  leaseDuration_s,
  nodeLeaseNamespace,
  type SessionMessage,
  sessionIdAnnotation,
  sessionStateAnnotation,
  supersedes,
} from "#shared/heartbeat/messages.ts";

const leastSweep_nodes = 64;

/**
 * Writes boards' MQTT sessions into their Leases: the state when it changes, the renewal while a session lives. The Lease
 * is all that others see of a heartbeat, so whoever runs the node lifecycle controller need not know of MQTT.
 */
export class NodeLeases {
  private readonly sessions = new Map<string, SessionMessage>();
  private readonly writes = new Map<string, Promise<void>>();
  /** At so many names those of deleted nodes are looked for. */
  private sweepAt = leastSweep_nodes;

  constructor(
    private readonly client: Client,
    private readonly log: Log,
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** Takes a session message of `node`. Resolves when the API has it. */
  async take(node: string, message: SessionMessage): Promise<void> {
    if (!supersedes(message, this.sessions.get(node))) return;
    this.sessions.set(node, message);
    this.log.info("session", { node, state: message.state, session: message.session });
    await this.write(node);
    await this.sweep();
  }

  /** Renews the Leases of the boards whose session lives. @param isThere tells of a node whether it is still connected. */
  async renew(isThere: (node: string) => boolean): Promise<void> {
    for (const [node, { state }] of this.sessions) if (state === "online" && isThere(node)) await this.write(node);
  }

  /** Forgets boards without a session whose Node has been deleted. Called when there are twice as many as were left the last
   *  time, so that it costs a request for each that came and what is kept is bounded by the nodes that there are. */
  private async sweep(): Promise<void> {
    if (this.sessions.size < this.sweepAt) return;
    // None besides this one; set anew below.
    this.sweepAt = Number.POSITIVE_INFINITY;
    for (const [node, session] of this.sessions) {
      if (session.state === "online") continue;
      try {
        await this.client.get(nodes, { name: node });
      } catch (error) {
        if (!isNotFound(error)) this.log.warn("cannot tell whether a Node is still there", { node, error });
        // It may have come back meanwhile.
        else if (this.sessions.get(node) === session) this.forget(node);
      }
    }
    this.sweepAt = Math.max(leastSweep_nodes, 2 * this.sessions.size);
  }

  private forget(node: string): void {
    this.sessions.delete(node);
    this.writes.delete(node);
  }

  /** One write at a time for a node, each with the newest state. */
  private write(node: string): Promise<void> {
    const next = (this.writes.get(node) ?? Promise.resolve())
      .then(() => this.writeOnce(node))
      .catch((error: unknown) => this.log.warn("cannot write the Lease", { node, error }));
    this.writes.set(node, next);
    return next;
  }

  private async writeOnce(node: string): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt++) {
      const session = this.sessions.get(node);
      if (!session) return;
      try {
        const present = await this.present(node);
        if (present) {
          if (isOlder(present, session)) return;
          const next = this.filled(node, session, present);
          // The first session may begin before the Node is there.
          const isOwned = present.metadata.ownerReferences?.length;
          await this.client.update(leases, isOwned ? next : await this.owned(node, next));
        } else {
          await this.client.create(leases, await this.owned(node, this.filled(node, session, undefined)));
        }
        return;
      } catch (error) {
        if (!isConflict(error) && !isAlreadyExists(error)) throw error;
      }
    }
    throw new Error("five conflicts in a row");
  }

  private async present(node: string): Promise<Lease | undefined> {
    try {
      return await this.client.get(leases, { namespace: nodeLeaseNamespace, name: node });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  private filled(node: string, session: SessionMessage, present: Lease | undefined): Lease {
    const alive = session.state === "online" || !present;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        ...present?.metadata,
        name: node,
        namespace: nodeLeaseNamespace,
        annotations: {
          ...present?.metadata.annotations,
          [sessionStateAnnotation]: session.state,
          [sessionIdAnnotation]: `${session.bootId}/${session.session}`,
        },
      },
      spec: {
        ...present?.spec,
        holderIdentity: node,
        leaseDurationSeconds: leaseDuration_s,
        renewTime: alive ? rfc3339Micro(this.now().getTime()) : present?.spec?.renewTime,
      },
    };
  }

  /** A Lease goes with its Node, as a kubelet's does. */
  private async owned(node: string, lease: Lease): Promise<Lease> {
    try {
      const { metadata } = await this.client.get(nodes, { name: node });
      const owner = { apiVersion: "v1", kind: "Node", name: node, uid: metadata.uid ?? "" };
      return { ...lease, metadata: { ...lease.metadata, ownerReferences: [owner] } };
    } catch (error) {
      if (isNotFound(error)) return lease;
      throw error;
    }
  }
}

/** Does the Lease already tell of a later session of the same boot, written by another broker? */
function isOlder(lease: Lease, session: SessionMessage): boolean {
  const [bootId, number] = (lease.metadata.annotations?.[sessionIdAnnotation] ?? "").split("/");
  return bootId === session.bootId && Number(number) > session.session;
}
