import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  configMaps,
  controllerRevisions,
  cronJobs,
  daemonSets,
  deployments,
  endpointSlices,
  endpoints,
  events,
  horizontalPodAutoscalers,
  jobs,
  namespaces,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  resourceQuotas,
  serviceAccounts,
  services,
  statefulSets,
} from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { Aliases } from "./aliases.ts";

const followed = [
  configMaps,
  controllerRevisions,
  cronJobs,
  daemonSets,
  deployments,
  endpointSlices,
  endpoints,
  events,
  horizontalPodAutoscalers,
  jobs,
  namespaces,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  resourceQuotas,
  serviceAccounts,
  services,
  statefulSets,
] as readonly ResourceRef<KubeObject>[];

/** By kind: what scenarios make and controllers change. */
export const resourceOf: ReadonlyMap<string, ResourceRef<KubeObject>> = new Map(followed.map((ref) => [ref.kind, ref]));

/** One namespace as watches have told of it. */
export class Room {
  readonly objects = new Map<string, KubeObject>();
  readonly aliases = new Aliases();
  changed_ms = performance.now();
  readonly #versions = new Map<string, bigint>();
  readonly #waiting = new Set<() => void>();

  see(type: string, object: KubeObject): void {
    const key = `${object.kind}/${object.metadata.name}`;
    this.aliases.learn(object);
    this.#versions.set(key, BigInt(object.metadata.resourceVersion ?? 0));
    if (type === "DELETED") this.objects.delete(key);
    else this.objects.set(key, object);
    this.changed_ms = performance.now();
    for (const wake of this.#waiting) wake();
  }

  /** Resolves at the next change, or after so long. */
  async change(within_ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, within_ms);
    this.#waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
  }

  /** The last one that was told of, also of what is gone; 0 when none was. */
  versionOf(kind: string, name: string): bigint {
    return this.#versions.get(`${kind}/${name}`) ?? 0n;
  }

  get<T extends KubeObject>(kind: string, name: string): T | undefined {
    return this.objects.get(`${kind}/${name}`) as T | undefined;
  }

  all<T extends KubeObject>(kind: string): T[] {
    return [...this.objects.values()].filter((object) => object.kind === kind) as T[];
  }
}

/** Follows everything that controllers make or change, by namespace. */
export class Mirror {
  readonly #rooms = new Map<string, Room>();
  readonly #ending = new AbortController();

  room(namespace: string): Room {
    const room = this.#rooms.get(namespace) ?? new Room();
    this.#rooms.set(namespace, room);
    return room;
  }

  /** @param onLost is told of a watch that ended by itself. */
  start(client: Client, onLost: (error: unknown) => void): void {
    for (const ref of followed) void this.#follow(client, ref).catch(onLost);
  }

  stop(): void {
    this.#ending.abort();
  }

  /** A server that is busy ends the watch of who is slow: then all is told anew. */
  async #follow(client: Client, ref: ResourceRef<KubeObject>): Promise<void> {
    while (!this.#ending.signal.aborted) await this.#watch(client, ref);
  }

  async #watch(client: Client, ref: ResourceRef<KubeObject>): Promise<void> {
    const told = new Set<string | undefined>();
    const watch = client.watch(ref, {
      sendInitialEvents: true,
      allowWatchBookmarks: true,
      signal: this.#ending.signal,
    });
    for await (const { type, object } of watch) {
      const { metadata, ...rest } = object;
      if (type === "BOOKMARK") {
        if (metadata.annotations?.["k8s.io/initial-events-end"]) this.#dropOthers(ref.kind, told);
        continue;
      }
      told.add(metadata.uid);
      const whole = { ...rest, apiVersion: object.apiVersion, kind: ref.kind, metadata };
      this.room(metadata.namespace ?? metadata.name ?? "").see(type, whole);
    }
  }

  /** What went while nobody watched. */
  #dropOthers(kind: string, told: ReadonlySet<string | undefined>): void {
    for (const room of this.#rooms.values())
      for (const object of room.all(kind)) if (!told.has(object.metadata.uid)) room.see("DELETED", object);
  }
}
