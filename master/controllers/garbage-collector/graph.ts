import { apiVersionOf, type KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import { CompactMap } from "#shared/compact/compact-map.ts";

export const foregroundFinalizer = "foregroundDeletion";
export const orphanFinalizer = "orphan";

/** What the collector keeps of an object: nothing but who it is and whose it is. */
export interface GraphNode {
  readonly ref: ResourceRef<KubeObject>;
  readonly uid: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly owners: readonly OwnerReference[];
  readonly isDeleted: boolean;
  /** Deleted in the foreground: it stays until its blocking dependents are gone. */
  readonly awaitsDependents: boolean;
  /** Deleted with the wish that its dependents live on. */
  readonly orphansDependents: boolean;
}

const noOwners: readonly OwnerReference[] = [];

export function graphNode(ref: ResourceRef<KubeObject>, { metadata }: KubeObject): GraphNode {
  const { uid = "", name = "", namespace, ownerReferences, deletionTimestamp, finalizers = [] } = metadata;
  const isDeleted = deletionTimestamp !== undefined;
  return {
    ref,
    uid,
    name,
    namespace,
    owners: ownerReferences && ownerReferences.length > 0 ? ownerReferences : noOwners,
    isDeleted,
    awaitsDependents: isDeleted && finalizers.includes(foregroundFinalizer),
    orphansDependents: isDeleted && finalizers.includes(orphanFinalizer),
  };
}

/** What a change in the graph gives to do: UIDs to look at, of objects that may have to go or that wait for others, and
 *  of owners whose dependents are to be set free. */
export interface GraphWork {
  readonly examine: readonly string[];
  readonly orphan: readonly string[];
}

const nothing: GraphWork = { examine: [], orphan: [] };

/**
 * Who owns whom, over all resources (pure). Owners are known by UID alone, so a dependent may come before its owner. The
 * graph may lag behind the API; whoever acts on it makes sure of the object itself first.
 */
export class OwnerGraph {
  readonly #nodes = new CompactMap<GraphNode>();
  readonly #dependents = new Map<string, Set<string>>();

  get size(): number {
    return this.#nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  dependentsOf(uid: string): GraphNode[] {
    const found: GraphNode[] = [];
    for (const dependent of this.#dependents.get(uid) ?? []) {
      const node = this.#nodes.get(dependent);
      if (node) found.push(node);
    }
    return found;
  }

  /** Dependents that keep an owner which is deleted in the foreground. */
  blockingDependentsOf(uid: string): GraphNode[] {
    return this.dependentsOf(uid).filter(({ owners }) =>
      owners.some((owner) => owner.uid === uid && owner.blockOwnerDeletion),
    );
  }

  put(node: GraphNode): GraphWork {
    const old = this.#nodes.get(node.uid);
    const oldOwners = old?.owners ?? noOwners;
    // What is owned as before has no owner that waits looked at anew, and with it all its siblings: pods change often while they end.
    const isOwnedAnew = !Bun.deepEquals(oldOwners, node.owners);
    this.#nodes.set(node.uid, isOwnedAnew ? node : { ...node, owners: oldOwners });
    const examine: string[] = [];
    if (isOwnedAnew) {
      const kept = new Set(node.owners.map(({ uid }) => uid));
      for (const { uid } of oldOwners) if (!kept.has(uid)) this.#unlink(uid, node.uid);
      for (const { uid } of node.owners) this.#link(uid, node.uid);
      // An owner that waits may be waiting for this one no longer.
      for (const { uid } of oldOwners) if (this.#nodes.get(uid)?.awaitsDependents) examine.push(uid);
    }
    if (node.awaitsDependents && !old?.awaitsDependents) {
      examine.push(node.uid, ...this.dependentsOf(node.uid).map(({ uid }) => uid));
    } else if (!node.isDeleted && this.#needsLook(node, isOwnedAnew)) {
      examine.push(node.uid);
    }
    const orphan = node.orphansDependents && !old?.orphansDependents ? [node.uid] : [];
    return { examine, orphan };
  }

  delete(uid: string): GraphWork {
    const node = this.#nodes.get(uid);
    if (!node) return nothing;
    this.#nodes.delete(uid);
    for (const owner of node.owners) this.#unlink(owner.uid, uid);
    const waiting = node.owners.filter((owner) => this.#nodes.get(owner.uid)?.awaitsDependents);
    return {
      examine: [...(this.#dependents.get(uid) ?? []), ...waiting.map((owner) => owner.uid)],
      orphan: [],
    };
  }

  /** An owner is not there (any more), or waits for its dependents, of which those that it had were looked at when it began to. */
  #needsLook({ owners, namespace }: GraphNode, isOwnedAnew: boolean): boolean {
    return owners.some((reference) => {
      const owner = this.#nodes.get(reference.uid);
      return !owner || (isOwnedAnew && owner.awaitsDependents) || !isMeant(owner, reference, namespace);
    });
  }

  #link(owner: string, dependent: string): void {
    const present = this.#dependents.get(owner);
    if (present) present.add(dependent);
    else this.#dependents.set(owner, new Set([dependent]));
  }

  #unlink(owner: string, dependent: string): void {
    const present = this.#dependents.get(owner);
    if (present?.delete(dependent) && present.size === 0) this.#dependents.delete(owner);
  }
}

/** The reference names the owner as it is, not by its UID alone, from where that can own. Of one that does not, only the API
 *  can tell whether there is such an owner: another version of its group, for instance. */
export const isMeant = (
  owner: GraphNode,
  { apiVersion, kind, name }: OwnerReference,
  dependentNamespace: string | undefined,
): boolean =>
  owner.name === name &&
  owner.ref.kind === kind &&
  apiVersionOf(owner.ref) === apiVersion &&
  isReachable(owner, dependentNamespace);

/** A namespaced object owns only what lies in its namespace. */
export const isReachable = (owner: GraphNode, dependentNamespace: string | undefined): boolean =>
  !owner.ref.namespaced || owner.namespace === dependentNamespace;
