import { isNotFound } from "#shared/api/errors.ts";
import { leases } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { microTimestamp, systemClock } from "#shared/client/clock.ts";
import { leaseDuration_s, nodeLeaseNamespace } from "#shared/heartbeat/messages.ts";

/** Renews the Lease of this board's node by the API, as a kubelet does; what a broker wrote about the session stays. */
export async function renewOwnLease(client: Client, nodeName: string): Promise<void> {
  const spec = {
    holderIdentity: nodeName,
    leaseDurationSeconds: leaseDuration_s,
    renewTime: microTimestamp(systemClock),
  };
  const key = { namespace: nodeLeaseNamespace, name: nodeName };
  try {
    await client.patch(leases, key, { type: "merge", body: { spec } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await client.create(leases, { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: key, spec });
  }
}
