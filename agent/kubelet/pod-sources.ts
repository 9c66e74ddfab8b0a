import { setTimeout as delay } from "node:timers/promises";
import { pods } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Informer, InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { formatPod, isMirrorPod, isStaticPod, podUid } from "./pod-containers.ts";
import { PodEvents } from "./pod-events.ts";
import type { PodWorkers } from "./pod-workers.ts";
import { endedByShutdown } from "./shutdown/node-shutdown.ts";
import { MirrorPods } from "./static-pods/mirror-pods.ts";
import { StaticPodSource } from "./static-pods/static-pod-source.ts";
import type { StatusWriter } from "./status/status-writer.ts";
import { unfitSpec, withoutIdentity } from "./unfit-pod.ts";

export interface PodSourcesOptions {
  readonly client: Client;
  readonly nodeName: string;
  readonly informers: InformerFactory;
  readonly checkpoint: Checkpoint;
  readonly workers: PodWorkers;
  readonly statuses: StatusWriter;
  /** Of manifests; none when absent. */
  readonly staticPodsFolder?: string | undefined;
  /** How long to wait for the API before pods start from the checkpoint. */
  readonly offlineAfter_ms?: number | undefined;
  node(): Node | undefined;
  readonly recorder: EventRecorder;
  readonly log: Log;
}

/** What a master that was asked while it started gets. */
const secondTry_ms = 1_000;

/**
 * Which pods are to run on this board: those that the API has bound to it or, while it does not answer, had when it last did; and
 * those of the board's own manifests. Each gets a worker, which hears what changes of it.
 */
export class PodSources {
  readonly #informer: Informer<Pod>;
  #manifests: StaticPodSource | undefined;
  #mirrors: MirrorPods | undefined;
  #isSettled = false;
  /** Of pods that cannot be taken as they are, why, by what they are called: told once. */
  readonly #unfit = new Map<string, string>();

  constructor(readonly options: PodSourcesOptions) {
    this.#informer = options.informers.informer(pods, { fieldSelector: `spec.nodeName=${options.nodeName}` });
  }

  /** The API has said which pods are to run here: what else runs is nobody's. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** From when the informers start. */
  followApi(): void {
    this.#informer.addHandler(({ type, object }) => {
      if (isMirrorPod(object)) {
        this.#mirrors?.observe(object);
        if (type !== "delete") this.options.statuses.observe(object);
      } else if (type === "delete") this.#remove(object);
      else this.#take(object);
    });
  }

  /** Resolves when those that are there have been read. */
  async followManifests(): Promise<void> {
    const { client, nodeName, staticPodsFolder, node, workers, log } = this.options;
    if (!staticPodsFolder) return;
    const lister = (): Informer<Pod>["lister"] | undefined => (this.#isSettled ? this.#informer.lister : undefined);
    const mirrors = new MirrorPods({ client, log, lister, node });
    this.#mirrors = mirrors;
    mirrors.start();
    const add = (pod: Pod): void => {
      workers.start(pod);
      mirrors.add(pod);
    };
    const remove = (pod: Pod): void => {
      mirrors.remove(pod);
      workers.remove(podUid(pod));
    };
    this.#manifests = new StaticPodSource(staticPodsFolder, nodeName, { add, remove }, log);
    await this.#manifests.start();
  }

  /**
   * Waits for the API, or takes what it last said until it answers; then ends what it no longer has.
   * @returns whether it is settled; not if the signal aborted, or the informers were stopped, before the API answered
   */
  async settle(signal: AbortSignal): Promise<boolean> {
    const { workers, statuses, checkpoint, log } = this.options;
    const synced = this.#informer.synced.then(
      () => true,
      () => false,
    );
    const isOffline = (await Promise.race([synced, this.#untilOffline()])) === offline;
    if (isOffline) {
      log.warn("the master does not answer: pods start from the checkpoint");
      await this.#startFromCheckpoint().catch((error) => log.error("the checkpoint cannot be read", { error }));
    }
    if (!(await synced) || signal.aborted) return false;
    this.#isSettled = true;
    const present = this.#informer.lister.list();
    // What the checkpoint had and the API has not was deleted meanwhile.
    const known = new Set(present.map(podUid));
    for (const worker of workers.all()) {
      if (!known.has(worker.uid) && !isStaticPod(worker.pod)) worker.remove();
    }
    this.#mirrors?.observeAll(present);
    // What only the master gives, such as tokens, was missing until now.
    if (isOffline) for (const worker of workers.all()) worker.refreshVolumes();
    statuses.retryAll();
    try {
      await checkpoint.retainPods(() => this.#informer.lister.list().map(podUid));
    } catch (error) {
      log.warn("what is kept of pods that are gone cannot be dropped", { error });
    }
    return true;
  }

  async stop(): Promise<void> {
    await this.#manifests?.stop();
    await this.#mirrors?.stop();
  }

  /** The API has had its time; a master that cannot be reached at all is not waited for. */
  async #untilOffline(): Promise<typeof offline> {
    const { client, offlineAfter_ms = 5_000 } = this.options;
    const unreachable = client.isAway
      ? Promise.resolve()
      : this.#informer.interrupted.then(() => delay(secondTry_ms, undefined, { ref: false }));
    await Promise.race([unreachable, delay(offlineAfter_ms, undefined, { ref: false })]);
    return offline;
  }

  async #startFromCheckpoint(): Promise<void> {
    const { checkpoint, workers, statuses } = this.options;
    for (const pod of await checkpoint.load("pods")) {
      if (workers.get(podUid(pod))) continue;
      if (!endedByShutdown(pod)) workers.start(pod);
      else {
        // Until somebody says what is in its place, the board does what it did.
        statuses.hold(podUid(pod));
        workers.start(withoutStatus(pod));
      }
    }
  }

  #take(given: Pod): void {
    const { checkpoint, workers } = this.options;
    const nobody = withoutIdentity(given);
    if (nobody !== undefined) {
      this.#tellUnfit(given, `Error validating pod from api, ignoring: ${nobody}`);
      return;
    }
    const pod = asFromApi(given);
    const worker = workers.get(podUid(pod));
    const unfit = unfitSpec(pod);
    if (unfit === undefined) this.#unfit.delete(formatPod(pod));
    else if (worker) this.#tellUnfit(pod, `Error validating pod from api, going on with its former spec: ${unfit}`);
    const known = unfit !== undefined && worker ? { ...pod, spec: worker.pod.spec } : pod;
    void checkpoint.save("pods", podUid(pod), known);
    if (worker) worker.update(known);
    else workers.start(known);
  }

  #tellUnfit(pod: Pod, message: string): void {
    const name = formatPod(pod);
    if (this.#unfit.get(name) === message) return;
    this.#unfit.set(name, message);
    this.options.log.warn("a pod cannot be taken as it is", { pod: name, message });
    new PodEvents(this.options.recorder, pod).warning("FailedValidation", message);
  }

  #remove(pod: Pod): void {
    this.#unfit.delete(formatPod(pod));
    if (withoutIdentity(pod) !== undefined) return;
    void this.options.checkpoint.remove("pods", podUid(pod));
    this.options.workers.remove(podUid(pod));
  }
}

const offline = Symbol("offline");

const withoutStatus = ({ status: _, ...pod }: Pod): Pod => pod;

/** Only this board's manifests make static pods: a pod of the API cannot call itself one. */
function asFromApi(pod: Pod): Pod {
  if (!isStaticPod(pod)) return pod;
  const annotations = { ...pod.metadata.annotations, "kubernetes.io/config.source": "api" };
  return { ...pod, metadata: { ...pod.metadata, annotations } };
}
