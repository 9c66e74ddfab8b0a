import { isTerminal } from "#shared/api/pod-phase.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { CompactMap } from "#shared/compact/compact-map.ts";
import { NodeInfo } from "./node-info.ts";
import { PodInfo } from "./pod-info.ts";

/**
 * Nodes with the pods on them, as last seen, plus those assumed: chosen here and not yet seen as bound. An assumed pod
 * takes its room at once, so that the next decision need not wait for the binding. The API's word replaces it as soon as
 * it arrives; `forget` takes it back when the binding failed.
 */
export class ClusterCache {
  readonly #nodes = new Map<string, NodeInfo>();
  readonly #nodeOfPod = new CompactMap<string>();
  readonly #assumed = new Set<string>();

  /** Nodes that exist. */
  nodes(): NodeInfo[] {
    return [...this.#nodes.values()].filter((info) => info.node !== undefined);
  }

  node(name: string): NodeInfo | undefined {
    const info = this.#nodes.get(name);
    return info?.node ? info : undefined;
  }

  /** How much is known, under the names of upstream's metric. */
  get sizes(): { readonly nodes: number; readonly pods: number; readonly assumed_pods: number } {
    return { nodes: this.#nodes.size, pods: this.#nodeOfPod.size, assumed_pods: this.#assumed.size };
  }

  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid);
  }

  setNode(node: Node): void {
    this.#nodeInfo(node.metadata.name ?? "").setNode(node);
  }

  /** Pods on it stay known until they go too. */
  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    info?.setNode(undefined);
    this.#dropIfEmpty(name);
  }

  /** A pod that the API shows on a node; one that has ended gives its room back. */
  setPod(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const nodeName = pod.spec?.nodeName;
    this.#remove(uid);
    this.#assumed.delete(uid);
    if (!nodeName || isTerminal(pod)) return;
    this.#place(new PodInfo(pod), nodeName);
  }

  removePod(uid: string): void {
    this.#remove(uid);
    this.#assumed.delete(uid);
  }

  assume(info: PodInfo, nodeName: string): void {
    if (this.#nodeOfPod.has(info.uid)) return;
    this.#assumed.add(info.uid);
    this.#place(info, nodeName);
  }

  /** Gives back what an assumed pod took; nothing if the API has shown it bound meanwhile. */
  forget(uid: string): void {
    if (this.#assumed.delete(uid)) this.#remove(uid);
  }

  #place(info: PodInfo, nodeName: string): void {
    this.#nodeInfo(nodeName).addPod(info);
    this.#nodeOfPod.set(info.uid, nodeName);
  }

  #remove(uid: string): void {
    const name = this.#nodeOfPod.get(uid);
    if (name === undefined) return;
    this.#nodeOfPod.delete(uid);
    this.#nodes.get(name)?.removePod(uid);
    this.#dropIfEmpty(name);
  }

  #nodeInfo(name: string): NodeInfo {
    const known = this.#nodes.get(name);
    if (known) return known;
    const info = new NodeInfo(name);
    this.#nodes.set(name, info);
    return info;
  }

  #dropIfEmpty(name: string): void {
    const info = this.#nodes.get(name);
    if (info && !info.node && info.pods.size === 0) this.#nodes.delete(name);
  }
}
