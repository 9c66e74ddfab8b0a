import { isNotFound } from "#shared/api/errors.ts";
import { nodes } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { pause, systemClock } from "#shared/client/clock.ts";

export const controlPlaneRole = "node-role.kubernetes.io/control-plane";
const retry_ms = 2_000;

/** Gives a master's own board the role that `kubectl get nodes` shows, as soon as it is registered; a board must not give it
 *  to itself (NodeRestriction). Rejects when `signal` ends it, or for what a retry does not mend. */
export async function markControlPlane(client: Client, name: string, signal: AbortSignal): Promise<void> {
  const body = { metadata: { labels: { [controlPlaneRole]: "true" } } };
  for (;;) {
    try {
      await client.patch(nodes, { name }, { type: "merge", body });
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await pause(systemClock, retry_ms, signal);
      signal.throwIfAborted();
    }
  }
}
