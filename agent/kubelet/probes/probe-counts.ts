import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ProbeType } from "./probe-worker.ts";
import type { ProbeOutcome } from "./run-probe.ts";

/** How often one probe of a container ended with one result. */
export interface ProbeCount {
  readonly type: ProbeType;
  readonly container: string;
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
  readonly result: "successful" | "failed" | "unknown";
  readonly count: number;
}

/** Counts the probes of the pods that are here; those of a pod that leaves go with it. */
export class ProbeCounts {
  /** By pod UID, then by probe and result. */
  readonly #byPod = new Map<string, Map<string, ProbeCount>>();

  count(type: ProbeType, container: string, { metadata }: Pod, outcome: ProbeOutcome | Error): void {
    const { uid: podUid = "", namespace = "", name: pod = "" } = metadata;
    const result = outcome instanceof Error ? "unknown" : outcome.result === "failure" ? "failed" : "successful";
    const counts = this.#byPod.get(podUid) ?? new Map<string, ProbeCount>();
    this.#byPod.set(podUid, counts);
    const key = `${type}/${container}/${result}`;
    const count = (counts.get(key)?.count ?? 0) + 1;
    counts.set(key, { type, container, namespace, pod, podUid, result, count });
  }

  forget(podUid: string): void {
    this.#byPod.delete(podUid);
  }

  all(): ProbeCount[] {
    return [...this.#byPod.values()].flatMap((counts) => [...counts.values()]);
  }
}
