import { apiVersionOf, type KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import type { Client } from "./client.ts";
import { unlessGone } from "./unless-gone.ts";

/** The reference by which a controller owns what it creates. */
export function controllerReference(ref: ResourceRef<unknown>, owner: KubeObject): OwnerReference {
  return {
    apiVersion: apiVersionOf(ref),
    kind: ref.kind,
    name: owner.metadata.name ?? "",
    uid: owner.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

export const controllerReferenceOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((reference) => reference.controller);

export type Claim = "keep" | "adopt" | "release" | "ignore";

/** What a controller should do with one object that might be its child (pure). Orphans whose labels match are adopted,
 *  children whose labels no longer match are released; nothing is taken from another controller, and an owner on its
 *  way out takes and gives nothing. */
function decideClaim(child: KubeObject, owner: KubeObject, matches: boolean): Claim {
  const reference = controllerReferenceOf(child);
  if (reference) {
    if (reference.uid !== owner.metadata.uid) return "ignore";
    if (matches) return "keep";
    return owner.metadata.deletionTimestamp ? "ignore" : "release";
  }
  const mayAdopt =
    matches &&
    !owner.metadata.deletionTimestamp &&
    !child.metadata.deletionTimestamp &&
    child.metadata.namespace === owner.metadata.namespace;
  return mayAdopt ? "adopt" : "ignore";
}

export interface ClaimOptions<C extends KubeObject, O extends KubeObject> {
  readonly client: Client;
  readonly ownerRef: ResourceRef<O>;
  readonly owner: O;
  readonly childRef: ResourceRef<C>;
  readonly children: readonly C[];
  matches(child: C): boolean;
  /** Set on adoption beside the reference, for instance a Job's tracking finalizer. */
  readonly finalizersOnAdoption?: readonly string[] | undefined;
}

/**
 * The children that belong to the owner, after adopting and releasing. Before the first adoption the owner is read fresh
 * from the API: one that was deleted and made anew meanwhile must not adopt under the old UID. Rejects with what the
 * writes reject with; a child that has gone meanwhile is left out.
 */
export async function claimChildren<C extends KubeObject, O extends KubeObject>(
  options: ClaimOptions<C, O>,
): Promise<C[]> {
  const { client, owner, ownerRef, childRef } = options;
  const claimed: C[] = [];
  let ownerIsFresh = false;
  for (const child of options.children) {
    const claim = decideClaim(child, owner, options.matches(child));
    if (claim === "keep") claimed.push(child);
    if (claim === "adopt") {
      if (!ownerIsFresh) await confirmOwner(client, ownerRef, owner);
      ownerIsFresh = true;
      // One that names the owner without making it the controller becomes the one that does.
      const references = [...referencesToOthers(child, owner), controllerReference(ownerRef, owner)];
      const finalizers = [...new Set([...(child.metadata.finalizers ?? []), ...(options.finalizersOnAdoption ?? [])])];
      const adopted = await patchReferences(client, childRef, child, references, finalizers);
      if (adopted) claimed.push(adopted);
    }
    if (claim === "release") {
      const references = referencesToOthers(child, owner);
      const dropped = new Set(options.finalizersOnAdoption);
      const finalizers = (child.metadata.finalizers ?? []).filter((finalizer) => !dropped.has(finalizer));
      await patchReferences(client, childRef, child, references, finalizers);
    }
  }
  return claimed;
}

const referencesToOthers = (child: KubeObject, owner: KubeObject): OwnerReference[] =>
  (child.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);

async function confirmOwner<O extends KubeObject>(client: Client, ref: ResourceRef<O>, owner: O): Promise<void> {
  const { namespace, name = "", uid } = owner.metadata;
  const fresh = await client.get(ref, { namespace, name });
  if (fresh.metadata.uid !== uid)
    throw new Error(`original ${ref.kind} ${name} is gone: got uid ${fresh.metadata.uid}, wanted ${uid}`);
  if (fresh.metadata.deletionTimestamp) throw new Error(`${ref.kind} ${name} has just been deleted`);
}

/** Sends uid and resourceVersion along, so that another object of that name, or one changed meanwhile, is not touched. */
async function patchReferences<C extends KubeObject>(
  client: Client,
  ref: ResourceRef<C>,
  child: C,
  ownerReferences: readonly OwnerReference[],
  finalizers: readonly string[],
): Promise<C | undefined> {
  const { namespace, name = "", uid, resourceVersion } = child.metadata;
  const body = { metadata: { uid, resourceVersion, ownerReferences, finalizers } };
  return unlessGone(client.patch(ref, { namespace, name }, { type: "merge", body }));
}
