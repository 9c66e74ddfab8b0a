import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Container, Pod, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { ProbeResult } from "../planner/observed-pod.ts";
import { isRestartableInit, isTerminalPhase, podUid } from "../pod-containers.ts";
import { PodEvents } from "../pod-events.ts";
import { ProbeCounts } from "./probe-counts.ts";
import { type ProbeType, ProbeWorker } from "./probe-worker.ts";
import { type ProbeOutcome, runProbe } from "./run-probe.ts";

const types: readonly ProbeType[] = ["startup", "readiness", "liveness"];
const titles: { readonly [K in ProbeType]: string } = {
  liveness: "Liveness",
  readiness: "Readiness",
  startup: "Startup",
};
const restartGrace_ms = 10_000;

/** Probes of all pods of this board, and their results by container id. */
export class ProbeManager {
  readonly #results: { readonly [K in ProbeType]: Map<string, ProbeResult> } = {
    liveness: new Map(),
    readiness: new Map(),
    startup: new Map(),
  };
  /** By pod UID, then `type/container`. */
  readonly #workers = new Map<string, Map<string, ProbeWorker>>();
  readonly #pods = new Map<string, Pod>();
  readonly counts = new ProbeCounts();

  constructor(
    readonly runtime: ContainerRuntime,
    readonly recorder: EventRecorder,
    /** A result has changed: the pod wants looking at. */
    readonly onChange: (podUid: string) => void,
    readonly startedAt_ms: number,
  ) {}

  results(type: ProbeType): ReadonlyMap<string, ProbeResult> {
    return this.#results[type];
  }

  /** Starts, informs and ends the probes of a pod by its present status. */
  sync(pod: Pod, status: PodStatus): void {
    const uid = podUid(pod);
    if (isTerminalPhase(status.phase)) {
      this.stop(uid);
      return;
    }
    this.#pods.set(uid, pod);
    const sidecars = (pod.spec.initContainers ?? []).filter(isRestartableInit);
    for (const container of [...pod.spec.containers, ...sidecars]) {
      for (const type of types) this.#syncOne(type, container, pod, status);
    }
  }

  /** While a pod ends, only its readiness still matters. */
  stopAllButReadiness(podUid: string): void {
    for (const [key, worker] of this.#workers.get(podUid) ?? []) if (!key.startsWith("readiness/")) worker.stop();
  }

  stop(podUid: string): void {
    for (const worker of this.#workers.get(podUid)?.values() ?? []) worker.stop();
    this.#workers.delete(podUid);
    this.#pods.delete(podUid);
    this.counts.forget(podUid);
  }

  /** Drops the results of containers that are gone. */
  forget(containerIds: Iterable<string>): void {
    for (const id of containerIds) for (const type of types) this.#results[type].delete(id);
  }

  stopAll(): void {
    for (const uid of [...this.#workers.keys()]) this.stop(uid);
  }

  #syncOne(type: ProbeType, container: Container, pod: Pod, podStatus: PodStatus): void {
    const probe = container[`${type}Probe`];
    if (!probe) return;
    const uid = podUid(pod);
    const workers = this.#workers.get(uid) ?? new Map<string, ProbeWorker>();
    this.#workers.set(uid, workers);
    const key = `${type}/${container.name}`;
    let worker = workers.get(key);
    if (!worker) {
      worker = new ProbeWorker({
        type,
        probe,
        container,
        startedBefore_ms: this.startedAt_ms - restartGrace_ms,
        run: (probed) =>
          runProbe(probe, { runtime: this.runtime, container, containerId: probed.id, podIP: probed.podIP }),
        settle: (id, result) => this.#settle(type, uid, id, result),
        tell: (outcome) => this.#tell(type, uid, container, outcome),
        count: (outcome) => {
          const probed = this.#pods.get(uid);
          if (probed) this.counts.count(type, container.name, probed, outcome);
        },
      });
      workers.set(key, worker);
    }
    const statuses = [...(podStatus.containerStatuses ?? []), ...(podStatus.initContainerStatuses ?? [])];
    const status = statuses.find(({ name }) => name === container.name);
    const id = status?.containerID?.replace(/^.*:\/\//, "");
    if (!status || !id) return;
    worker.update({
      id,
      running: status.state?.running !== undefined,
      startedAt_ms: Date.parse(status.state?.running?.startedAt ?? "") || 0,
      started: status.started === true,
      podIP: podStatus.podIP ?? "",
    });
  }

  #settle(type: ProbeType, podUid: string, containerId: string, result: ProbeResult): void {
    if (this.#results[type].get(containerId) === result) return;
    this.#results[type].set(containerId, result);
    this.onChange(podUid);
  }

  #tell(type: ProbeType, podUid: string, container: Container, outcome: ProbeOutcome | Error): void {
    const pod = this.#pods.get(podUid);
    if (!pod) return;
    const events = new PodEvents(this.recorder, pod);
    const title = titles[type];
    if (outcome instanceof Error) {
      const message = `${title} probe errored and resulted in unknown state: ${outcome.message}`;
      events.warning("Unhealthy", message, container);
    } else if (outcome.result === "warning") {
      events.warning("ProbeWarning", `${title} probe warning: ${outcome.output}`, container);
    } else {
      events.warning("Unhealthy", `${title} probe failed: ${outcome.output}`, container);
    }
  }
}
