import { leases } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { Mirror, type Room } from "./mirror.ts";
import { joinNode, type Scenario, World } from "./world.ts";

/** Where all pods run that are not a DaemonSet's. */
const commonNodes = ["node-1", "node-2", "node-3"];
const heartbeat_ms = 8_000;

export interface Stage {
  readonly mirror: Mirror;
  /** @param checkpoint waits until a step is over; its label is unique in the scenario. */
  play(scenario: Scenario, checkpoint: (room: Room, label: string) => Promise<void>): Promise<void>;
  stop(): void;
}

/** A cluster with nodes that are kept alive. */
export async function openStage(client: Client): Promise<Stage> {
  const mirror = new Mirror();
  mirror.start(client, (error) => console.error("a watch was lost:", error));
  for (const [index, name] of commonNodes.entries())
    await joinNode(client, name, { "topology.kubernetes.io/zone": `zone-${index + 1}` });
  const beat = setInterval(() => void renewLeases(client).catch(() => undefined), heartbeat_ms);
  await renewLeases(client);
  return {
    mirror,
    async play({ name, play }, checkpoint) {
      const world = new World(client, mirror, name, checkpoint);
      await world.begin();
      await play(world);
    },
    stop() {
      clearInterval(beat);
      mirror.stop();
    },
  };
}

/** A heartbeat of every node. */
async function renewLeases(client: Client): Promise<void> {
  const { items } = await client.list({ group: "", version: "v1", kind: "Node", plural: "nodes", namespaced: false });
  for (const { metadata } of items as { metadata: { name: string } }[]) {
    const renewTime = new Date().toISOString().replace("Z", "000Z");
    const namespace = "kube-node-lease";
    const body = { spec: { holderIdentity: metadata.name, leaseDurationSeconds: 40, renewTime } };
    const key = { namespace, name: metadata.name };
    try {
      await client.patch(leases, key, { type: "merge", body });
    } catch {
      const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: key, ...body } as Lease;
      await client.create(leases, lease, { namespace }).catch(() => undefined);
    }
  }
}

/** Resolves once nothing has changed in the namespace for so long. */
export async function quiet(room: Room, quiet_ms: number): Promise<void> {
  const begun_ms = performance.now();
  for (;;) {
    const since_ms = performance.now() - Math.max(room.changed_ms, begun_ms);
    if (since_ms >= quiet_ms) return;
    await room.change(quiet_ms - since_ms + 10);
  }
}
