import { isNotFound } from "#shared/api/errors.ts";
import { leases } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { microTimestamp, systemClock } from "#shared/client/clock.ts";
import { leaseDuration_s, nodeLeaseNamespace } from "#shared/heartbeat/messages.ts";

export interface OwnLease {
  readonly duration_s?: number | undefined;
  /** Whose end is the Lease's too, where nobody else says so. */
  readonly owner?: Node | undefined;
}

/** Renews the Lease of this board's node by the API, as a kubelet does; what a broker wrote about the session stays. */
export async function renewOwnLease(
  client: Client,
  nodeName: string,
  { duration_s = leaseDuration_s, owner }: OwnLease = {},
): Promise<void> {
  const spec = {
    holderIdentity: nodeName,
    leaseDurationSeconds: duration_s,
    renewTime: microTimestamp(systemClock),
  };
  const key = { namespace: nodeLeaseNamespace, name: nodeName };
  try {
    await client.patch(leases, key, { type: "merge", body: { spec } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    const { uid } = owner?.metadata ?? {};
    const ownerReferences = uid ? [{ apiVersion: "v1", kind: "Node", name: nodeName, uid }] : undefined;
    const metadata = { ...key, ...(ownerReferences ? { ownerReferences } : {}) };
    await client.create(leases, { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec });
  }
}
