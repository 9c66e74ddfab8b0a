import { MemoryClient } from "#master/controllers/testing/memory-client.ts";
import { notFound } from "#shared/api/errors.ts";
import type { ObjectKey } from "#shared/api/object.ts";
import type { JsonObject } from "#shared/api/patch/json-value.ts";
import { applyStrategicMergePatch } from "#shared/api/patch/strategic-merge-patch.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { pods } from "#shared/api/resources.ts";
import { builtInSchema } from "#shared/api/schema/built-in.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import {
  ConnectionError,
  type ListOptions,
  type Page,
  type Patch,
  type WatchEvent,
  type WatchOptions,
  type WriteOptions,
} from "#shared/client/client.ts";

/** The in-memory API with what a kubelet needs beside storage: graceful deletion of pods, and tokens. */
export class KubeletApi extends MemoryClient {
  readonly tokens: string[] = [];
  /** Nothing is answered: the master is gone. Watches that run go on, so a kubelet is started after this is set. */
  away = false;

  override async get<T>(ref: ResourceRef<T>, key: ObjectKey): Promise<T> {
    this.#answer();
    return super.get(ref, key);
  }

  override async list<T>(ref: ResourceRef<T>, options?: ListOptions): Promise<Page<T>> {
    this.#answer();
    return super.list(ref, options);
  }

  override async *watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    this.#answer();
    yield* super.watch(ref, options);
  }

  override async create<T>(
    ref: ResourceRef<T>,
    object: T,
    options?: WriteOptions & { readonly namespace?: string | undefined },
  ): Promise<T> {
    this.#answer();
    return super.create(ref, object, options);
  }

  #answer(): void {
    if (this.away) throw new ConnectionError("connect ECONNREFUSED");
  }

  override async patch<T>(ref: ResourceRef<T>, key: ObjectKey, patch: Patch, options: WriteOptions = {}): Promise<T> {
    this.#answer();
    if (patch.type !== "strategic") return super.patch(ref, key, patch, options);
    const schema = builtInSchema({ group: ref.group, version: ref.version, kind: ref.kind });
    if (!schema) throw new Error(`no schema of ${ref.kind}`);
    const present = (await this.get(ref, key)) as unknown as JsonObject;
    const patched = applyStrategicMergePatch(structuredClone(present), patch.body, schema);
    return super.update(ref, patched as unknown as T, options);
  }

  /** A finalizer stands in for the grace period that the real API keeps. */
  override async delete(ref: ResourceRef<unknown>, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    if (ref.plural !== pods.plural || ref.group !== "") return super.delete(ref, key, options);
    const pod = structuredClone(await this.get(pods, key));
    const grace = options.gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    if (grace === 0) {
      if (pod.metadata.deletionTimestamp === undefined) return super.delete(ref, key, options);
      await this.update(pods, { ...pod, metadata: { ...pod.metadata, finalizers: [] } });
      return;
    }
    pod.metadata.deletionGracePeriodSeconds = grace;
    pod.metadata.finalizers = ["test/grace"];
    await this.update(pods, pod);
    await super.delete(ref, key, options);
  }

  override async post<B extends object>(
    ref: ResourceRef<unknown>,
    key: ObjectKey,
    subresource: string,
    body: B,
  ): Promise<B> {
    if (subresource !== "token") return super.post(ref, key, subresource, body);
    if (key.name === "missing") throw notFound(ref, key.name);
    const token = `token-${this.tokens.length}`;
    this.tokens.push(token);
    const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString();
    return { ...body, status: { token, expirationTimestamp } };
  }
}
