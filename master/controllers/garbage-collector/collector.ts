import { isConflict, isNotFound } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { ResourceMapper } from "#shared/client/discovery.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import {
  foregroundFinalizer,
  type GraphNode,
  isMeant,
  isReachable,
  type OwnerGraph,
  orphanFinalizer,
} from "./graph.ts";

/** Owners known to be gone; what is forgotten is asked for again. */
const absentEntries = 500;

/** Owners whose dependents were set free. */
const outlivedEntries = 500;

type Standing = "solid" | "dangling" | "awaits dependents";

/**
 * Acts on the graph: deletes what nobody owns any more, lets owners go whose dependents are gone, and takes references to
 * owners away that wished to be outlived. Each step begins with the object as it stands in the API and is bound to that
 * state (UID and resourceVersion); what has changed meanwhile is looked at again.
 */
export class Collector {
  readonly #client: Client;
  readonly #graph: OwnerGraph;
  readonly #mapper: ResourceMapper;
  readonly #events: EventRecorder;
  readonly #examine: (uid: string) => void;
  readonly #absent = new BoundedMap<true>(absentEntries);
  /** The graph may hear of a dependent only when its owner has gone: it is to live on like the others. */
  readonly #outlived = new BoundedMap<true>(outlivedEntries);

  constructor(options: {
    readonly client: Client;
    readonly graph: OwnerGraph;
    readonly mapper: ResourceMapper;
    readonly events: EventRecorder;
    /** Has an object looked at. */
    readonly examine: (uid: string) => void;
  }) {
    this.#client = options.client;
    this.#graph = options.graph;
    this.#mapper = options.mapper;
    this.#events = options.events;
    this.#examine = options.examine;
  }

  /** Looks at one object: it may have to go, or to be let go. */
  async examine(uid: string): Promise<void> {
    const node = this.#graph.get(uid);
    if (!node || (node.isDeleted && !node.awaitsDependents)) return;
    if (node.awaitsDependents) return this.#letGo(node);
    if (node.owners.length === 0) return;
    const latest = await this.#latest(node);
    if (!latest || latest.metadata.deletionTimestamp) return;
    const references = latest.metadata.ownerReferences ?? [];
    if (references.length === 0) return;
    const isOutlived = ({ uid: owner }: OwnerReference): boolean => this.#outlived.get(owner) === true;
    // With what is left it comes back.
    if (references.some(isOutlived)) return this.#setFree(node, latest, isOutlived);

    // One for each reference: two may name the same UID, and only one of them rightly.
    const standings: Standing[] = [];
    for (const reference of references) standings.push(await this.#standing(node, reference));
    const left = references.filter((_, index) => standings[index] === "solid");
    if (left.length > 0) {
      // The others must not keep an owner waiting for this object, which stays.
      if (left.length < references.length) await this.#patch(node, latest, { ownerReferences: left });
      return;
    }
    const isAwaited = standings.includes("awaits dependents");
    if (isAwaited && this.#graph.dependentsOf(uid).length > 0) await this.#deleteInForeground(node, latest);
    else await this.#delete(node, latest, policyOf(latest));
  }

  /** Sets the dependents of a deleted owner free, then the owner. */
  async orphan(uid: string): Promise<void> {
    const owner = this.#graph.get(uid);
    if (!owner?.orphansDependents) return;
    for (const dependent of this.#graph.dependentsOf(uid)) {
      const latest = await this.#latest(dependent);
      if (latest) await this.#setFree(dependent, latest, (reference) => reference.uid === uid);
    }
    this.#outlived.set(uid, true);
    await this.#removeFinalizer(owner, orphanFinalizer);
  }

  async #setFree(node: GraphNode, latest: KubeObject, from: (reference: OwnerReference) => boolean): Promise<void> {
    const references = latest.metadata.ownerReferences ?? [];
    const ownerReferences = references.filter((reference) => !from(reference));
    if (ownerReferences.length < references.length) await this.#patch(node, latest, { ownerReferences });
  }

  async #letGo(node: GraphNode): Promise<void> {
    const blocking = this.#graph.blockingDependentsOf(node.uid);
    if (blocking.length === 0) return this.#removeFinalizer(node, foregroundFinalizer);
    for (const dependent of blocking) if (!dependent.isDeleted) this.#examine(dependent.uid);
  }

  async #deleteInForeground(node: GraphNode, latest: KubeObject): Promise<void> {
    let current = latest;
    // Two that wait for each other would wait for ever: this one gives way.
    if (this.#graph.dependentsOf(node.uid).some(({ awaitsDependents }) => awaitsDependents)) {
      const ownerReferences = (latest.metadata.ownerReferences ?? []).map((reference) => ({
        ...reference,
        blockOwnerDeletion: false,
      }));
      current = await this.#patch(node, latest, { ownerReferences });
    }
    await this.#delete(node, current, "Foreground");
  }

  async #standing(node: GraphNode, reference: OwnerReference): Promise<Standing> {
    const known = this.#graph.get(reference.uid);
    if (known && isMeant(known, reference, node.namespace))
      return known.awaitsDependents ? "awaits dependents" : "solid";
    // The owner is there, where this object cannot have one.
    if (known && !isReachable(known, node.namespace)) this.#warn(node, "does not exist in namespace", reference);
    const { apiVersion, kind, name } = reference;
    const absentKey = [apiVersion, kind, name, reference.uid, node.namespace].join("|");
    if (this.#absent.get(absentKey)) return "dangling";
    const resource = await this.#mapper.resourceOf(apiVersion, kind);
    if (!resource) throw new Error(`owner ${kind} ${name} is of a kind that nobody serves`);
    if (resource.ref.namespaced && node.namespace === undefined) {
      // Nobody can tell where to look: such an object is never collected.
      this.#warn(node, `namespaced kind ${kind} cannot own a cluster-scoped object`, reference);
      return "solid";
    }
    const namespace = resource.ref.namespaced ? node.namespace : undefined;
    const owner = await unlessGone(this.#client.get(resource.ref, { namespace, name }));
    if (owner?.metadata.uid === reference.uid) {
      const awaits = owner.metadata.deletionTimestamp && owner.metadata.finalizers?.includes(foregroundFinalizer);
      return awaits ? "awaits dependents" : "solid";
    }
    this.#absent.set(absentKey, true);
    return "dangling";
  }

  #warn(node: GraphNode, what: string, { apiVersion, kind, name, uid }: OwnerReference): void {
    const owner = `[${apiVersion}/${kind}, namespace: ${node.namespace ?? ""}, name: ${name}, uid: ${uid}]`;
    const message =
      what === "does not exist in namespace"
        ? `ownerRef ${owner} does not exist in namespace "${node.namespace ?? ""}"`
        : `ownerRef ${owner}: ${what}`;
    const { ref, namespace } = node;
    const about = {
      apiVersion: ref.group === "" ? ref.version : `${ref.group}/${ref.version}`,
      kind: ref.kind,
      namespace,
      name: node.name,
      uid: node.uid,
    };
    this.#events.record(about, { type: "Warning", reason: "OwnerRefInvalidNamespace", message });
  }

  /** The object as it stands; undefined when it is gone or another bears its name. */
  async #latest({ ref, namespace, name, uid }: GraphNode): Promise<KubeObject | undefined> {
    const object = await unlessGone(this.#client.get(ref, { namespace, name }));
    return object?.metadata.uid === uid ? object : undefined;
  }

  async #delete({ ref, namespace, name, uid }: GraphNode, latest: KubeObject, policy: string): Promise<void> {
    const preconditions = { uid, resourceVersion: latest.metadata.resourceVersion };
    await unlessGone(this.#client.delete(ref, { namespace, name }, { preconditions, propagationPolicy: policy }));
  }

  #patch({ ref, namespace, name, uid }: GraphNode, latest: KubeObject, metadata: object): Promise<KubeObject> {
    const body = { metadata: { uid, resourceVersion: latest.metadata.resourceVersion, ...metadata } };
    return this.#client.patch(ref, { namespace, name }, { type: "merge", body });
  }

  async #removeFinalizer(node: GraphNode, finalizer: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const latest = await this.#latest(node);
      const finalizers = latest?.metadata.finalizers ?? [];
      if (!latest || !finalizers.includes(finalizer)) return;
      try {
        await this.#patch(node, latest, { finalizers: finalizers.filter((one) => one !== finalizer) });
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isConflict(error) || attempt === 5) throw error;
      }
    }
  }
}

/** What the object's own finalizers ask for comes before the default. */
function policyOf({ metadata }: KubeObject): "Orphan" | "Foreground" | "Background" {
  if (metadata.finalizers?.includes(orphanFinalizer)) return "Orphan";
  return metadata.finalizers?.includes(foregroundFinalizer) ? "Foreground" : "Background";
}
