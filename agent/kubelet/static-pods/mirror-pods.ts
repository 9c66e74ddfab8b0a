import { isAlreadyExists, isNotFound } from "#shared/api/errors.ts";
import { keyOf, splitKey } from "#shared/api/object.ts";
import { pods } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Lister } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { runQueueWorker } from "#shared/client/queue-worker.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import { isMirrorPod, mirroredUid, podUid } from "../pod-containers.ts";

export interface MirrorPodsOptions {
  readonly client: Client;
  readonly log: Log;
  /** Pods of this node in the API; undefined until they have been read. */
  readonly lister: () => Lister<Pod> | undefined;
  readonly node: () => Node | undefined;
}

/** Shows static pods in the API: each has a mirror there that follows it, and that comes back when someone deletes it. */
export class MirrorPods {
  readonly #static = new Map<string, Pod>();
  readonly #queue = new WorkQueue({ firstBackOff_ms: 500, longestBackOff_ms: 60_000 });
  #working: Promise<void> | undefined;

  constructor(readonly options: MirrorPodsOptions) {}

  start(): void {
    this.#working = runQueueWorker(
      this.#queue,
      (key) => this.#reconcile(key),
      (pod, error) => this.options.log.debug("a mirror pod could not be brought in line", { pod, error }),
    );
  }

  async stop(): Promise<void> {
    this.#queue.shutDown();
    await this.#working;
  }

  add(pod: Pod): void {
    this.#static.set(keyOf(pod), pod);
    this.#queue.add(keyOf(pod));
  }

  remove(pod: Pod): void {
    // A changed manifest is a new pod of the same name: it may be here already.
    if (podUid(this.#static.get(keyOf(pod)) ?? pod) === podUid(pod)) this.#static.delete(keyOf(pod));
    this.#queue.add(keyOf(pod));
  }

  /** The API's mirror has changed, come or gone. */
  observe(mirror: Pod): void {
    this.#queue.add(keyOf(mirror));
  }

  /** The API can be read now: look at all. */
  observeAll(mirrors: readonly Pod[]): void {
    for (const key of this.#static.keys()) this.#queue.add(key);
    for (const pod of mirrors) if (isMirrorPod(pod)) this.#queue.add(keyOf(pod));
  }

  async #reconcile(key: string): Promise<void> {
    const lister = this.options.lister();
    if (!lister) return;
    const wanted = this.#static.get(key);
    const present = lister.get(key);
    // A pod that someone made under the name is not ours to touch.
    if (present && !isMirrorPod(present)) return;
    if (present) {
      const current = wanted && mirroredUid(present) === podUid(wanted);
      if (current && present.metadata.deletionTimestamp === undefined) return;
      await this.#delete(present);
    }
    if (wanted) await this.#create(wanted);
  }

  async #delete(mirror: Pod): Promise<void> {
    try {
      await this.options.client.delete(pods, splitKey(keyOf(mirror)), {
        gracePeriodSeconds: 0,
        preconditions: { uid: podUid(mirror) },
      });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #create(pod: Pod): Promise<void> {
    const node = this.options.node();
    const { uid: _, ...metadata } = pod.metadata;
    const mirror: Pod = {
      ...pod,
      metadata: {
        ...metadata,
        annotations: { ...metadata.annotations, "kubernetes.io/config.mirror": podUid(pod) },
        ...(node?.metadata.uid
          ? {
              ownerReferences: [
                {
                  apiVersion: "v1",
                  kind: "Node",
                  name: node.metadata.name ?? "",
                  uid: node.metadata.uid,
                  controller: true,
                },
              ],
            }
          : {}),
      },
    };
    try {
      await this.options.client.create(pods, mirror, { namespace: mirror.metadata.namespace });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
}
