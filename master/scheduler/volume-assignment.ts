import { persistentVolumeClaims, persistentVolumes } from "#shared/api/resources.ts";
import { isBound, isReservedFor, volumeAnnotations } from "#shared/api/scheduling/volume-match.ts";
import type { Client } from "#shared/client/client.ts";
import type { ClusterView } from "./framework.ts";
import { claimsOf, planVolumes } from "./plugins/volumes.ts";
import type { PodInfo } from "./pod-info.ts";
import type { VolumePromises } from "./volume-promises.ts";

export const hasUnboundClaims = (info: PodInfo, cluster: ClusterView): boolean =>
  claimsOf(info, cluster).some(({ claim }) => claim && !isBound(claim));

export interface VolumeAccess {
  readonly client: Client;
  readonly cluster: ClusterView;
  readonly promises: VolumePromises;
}

/**
 * Asks for the volumes of a pod on its chosen node: reserves the volumes that fit, and names the node in the claims for
 * which a provisioner has to make one. "pending" until all claims are bound; then the pod is decided on again, and its
 * bound volumes lead to the same node. Rejects with StatusError when another was quicker.
 */
export async function bindVolumes(
  info: PodInfo,
  nodeName: string,
  { client, cluster, promises }: VolumeAccess,
): Promise<"done" | "pending"> {
  const claims = claimsOf(info, cluster).flatMap(({ claim }) => (claim && !isBound(claim) ? [claim] : []));
  if (claims.length === 0) return "done";
  const node = cluster.node(nodeName)?.node;
  const plans = node ? planVolumes(claims, node, cluster, promises) : undefined;
  if (!plans || plans === "not enough capacity")
    throw new Error(`the volumes of ${info.key} cannot be had on ${nodeName} any more`);
  for (const plan of plans) {
    const { name = "", namespace, uid, resourceVersion } = plan.claim.metadata;
    if (plan.kind === "provision") {
      if (plan.claim.metadata.annotations?.[volumeAnnotations.selectedNode] === nodeName) continue;
      const body = {
        metadata: { uid, resourceVersion, annotations: { [volumeAnnotations.selectedNode]: nodeName } },
      };
      await client.patch(persistentVolumeClaims, { namespace, name }, { type: "merge", body });
    } else if (!(isReservedFor(plan.volume, plan.claim) && plan.volume.spec?.claimRef?.uid)) {
      const { metadata } = plan.volume;
      const claimRef = { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name, uid, resourceVersion };
      const body = {
        metadata: {
          resourceVersion: metadata.resourceVersion,
          annotations: { [volumeAnnotations.boundByController]: "yes" },
        },
        spec: { claimRef },
      };
      await client.patch(persistentVolumes, { name: metadata.name ?? "" }, { type: "merge", body });
      promises.written(info.uid, metadata.name ?? "");
    }
  }
  return "pending";
}
