import type { KubeObject } from "#shared/api/object.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";

/** When owners stood there twice: as an object was sent, or when plugins had changed it; what a patch makes is looked at only
 *  then. */
export type OwnersSeen = "sent" | "admitted";

/** Leaves an object one of each of its owner references that are the same in everything, and warns of the others (upstream's
 *  dedupOwnerReferences). */
export function withoutRepeatedOwners({ metadata }: KubeObject, warnings: string[], seen: OwnersSeen): void {
  const owners = new Map<string, OwnerReference>();
  const repeated: string[] = [];
  for (const owner of metadata.ownerReferences ?? []) {
    const { apiVersion, kind, name, uid, controller, blockOwnerDeletion } = owner;
    const all = JSON.stringify([apiVersion, kind, name, uid, controller, blockOwnerDeletion]);
    if (owners.has(all)) repeated.push(uid);
    else owners.set(all, owner);
  }
  if (repeated.length === 0) return;
  metadata.ownerReferences = [...owners.values()];
  const warning =
    `.metadata.ownerReferences contains duplicate entries${seen === "admitted" ? " after mutating admission happens" : ""}; ` +
    "API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; " +
    `duplicate UID(s) observed: ${repeated.join(", ")}`;
  if (!warnings.includes(warning)) warnings.push(warning);
}
