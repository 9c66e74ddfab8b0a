import type { PodInfo } from "./pod-info.ts";

/** Pods for which room was made on a node and that are not there yet. */
export class NominatedPods {
  readonly #byNode = new Map<string, Map<string, PodInfo>>();
  readonly #nodeOf = new Map<string, string>();

  on(nodeName: string): PodInfo[] {
    return [...(this.#byNode.get(nodeName)?.values() ?? [])];
  }

  /** An empty name takes the nomination back. */
  nominate(info: PodInfo, nodeName: string): void {
    this.delete(info.uid);
    if (nodeName === "") return;
    this.#nodeOf.set(info.uid, nodeName);
    const present = this.#byNode.get(nodeName) ?? new Map<string, PodInfo>();
    present.set(info.uid, info);
    this.#byNode.set(nodeName, present);
  }

  /** The pod as it is now, if room was made for it. */
  renew(info: PodInfo): void {
    this.nominate(info, this.#nodeOf.get(info.uid) ?? "");
  }

  delete(uid: string): void {
    const nodeName = this.#nodeOf.get(uid);
    if (nodeName === undefined) return;
    this.#nodeOf.delete(uid);
    const present = this.#byNode.get(nodeName);
    present?.delete(uid);
    if (present?.size === 0) this.#byNode.delete(nodeName);
  }
}
