import { addAmounts, amountsOf, type ResourceAmounts, subtractAmounts } from "#shared/api/scheduling/pod-resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { PodInfo } from "./pod-info.ts";

/** A node with the pods on it and the sums over them. */
export class NodeInfo {
  readonly name: string;
  #node: Node | undefined;
  #allocatable: ResourceAmounts = new Map();
  #images: ReadonlyMap<string, number> = new Map();
  readonly #pods = new Map<string, PodInfo>();
  readonly #requested: ResourceAmounts = new Map();
  readonly #assumedRequested: ResourceAmounts = new Map();
  /** Pods by label, for the keys that were asked for. */
  readonly #byLabel = new Map<string, Map<string, Map<string, PodInfo>>>();
  #withAffinity = 0;
  #withAntiAffinity = 0;

  constructor(name: string, node?: Node) {
    this.name = name;
    if (node) this.setNode(node);
  }

  /** Absent while pods are known on a node that is not, or no longer. */
  get node(): Node | undefined {
    return this.#node;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#node?.metadata.labels ?? {};
  }

  get pods(): ReadonlyMap<string, PodInfo> {
    return this.#pods;
  }

  get allocatable(): ReadonlyMap<string, number> {
    return this.#allocatable;
  }

  get requested(): ReadonlyMap<string, number> {
    return this.#requested;
  }

  /** With assumptions for containers that request nothing. */
  get assumedRequested(): ReadonlyMap<string, number> {
    return this.#assumedRequested;
  }

  /** Bytes by image name, as the node reports them. */
  get images(): ReadonlyMap<string, number> {
    return this.#images;
  }

  get hasPodsWithAffinity(): boolean {
    return this.#withAffinity > 0;
  }

  get hasPodsWithAntiAffinity(): boolean {
    return this.#withAntiAffinity > 0;
  }

  setNode(node: Node | undefined): void {
    this.#node = node;
    this.#allocatable = allocatableOf(node);
    const images = new Map<string, number>();
    for (const { names = [], sizeBytes = 0 } of node?.status?.images ?? [])
      for (const name of names) images.set(name, Number(sizeBytes));
    this.#images = images;
  }

  addPod(info: PodInfo): void {
    if (this.#pods.has(info.uid)) this.removePod(info.uid);
    this.#pods.set(info.uid, info);
    for (const [key, values] of this.#byLabel) enter(values, key, info);
    addAmounts(this.#requested, info.requests);
    addAmounts(this.#assumedRequested, info.assumedRequests);
    if (info.hasAffinity) this.#withAffinity++;
    if (info.hasAntiAffinity) this.#withAntiAffinity++;
  }

  removePod(uid: string): void {
    const info = this.#pods.get(uid);
    if (!info) return;
    this.#pods.delete(uid);
    for (const [key, values] of this.#byLabel) leave(values, key, info);
    subtractAmounts(this.#requested, info.requests);
    subtractAmounts(this.#assumedRequested, info.assumedRequests);
    if (info.hasAffinity) this.#withAffinity--;
    if (info.hasAntiAffinity) this.#withAntiAffinity--;
  }

  /** Pods that carry the label. A key is indexed when it is first asked for. */
  podsWithLabel(key: string, value: string): Iterable<PodInfo> {
    let values = this.#byLabel.get(key);
    if (!values) {
      values = new Map();
      this.#byLabel.set(key, values);
      for (const info of this.#pods.values()) enter(values, key, info);
    }
    return values.get(value)?.values() ?? [];
  }

  /** A copy to try things on. */
  clone(): NodeInfo {
    const copy = new NodeInfo(this.name, this.#node);
    for (const info of this.#pods.values()) copy.addPod(info);
    return copy;
  }
}

/** What pods can have of the node in all. */
export const allocatableOf = (node: Node | undefined): ResourceAmounts =>
  amountsOf(node?.status?.allocatable ?? node?.status?.capacity);

function enter(values: Map<string, Map<string, PodInfo>>, key: string, info: PodInfo): void {
  const value = info.pod.metadata.labels?.[key];
  if (value === undefined) return;
  const present = values.get(value);
  if (present) present.set(info.uid, info);
  else values.set(value, new Map([[info.uid, info]]));
}

function leave(values: Map<string, Map<string, PodInfo>>, key: string, info: PodInfo): void {
  const value = info.pod.metadata.labels?.[key] ?? "";
  const present = values.get(value);
  if (present?.delete(info.uid) && present.size === 0) values.delete(value);
}
