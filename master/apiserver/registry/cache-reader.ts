import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { ResourceReader } from "./reader.ts";
import type { ResourceTable } from "./resource-table.ts";

/** Reads the watch caches for stages inside the server. A resource that is not served is one without objects. */
export class CacheReader implements ResourceReader {
  readonly #table: ResourceTable;

  constructor(table: ResourceTable) {
    this.#table = table;
  }

  get<T extends KubeObject>(ref: ResourceRef<T>, { namespace, name }: ObjectKey): T | undefined {
    const key = ref.namespaced ? `${namespace ?? ""}/${name}` : name;
    return this.#table.storedOf(ref)?.cache.get(key)?.view() as T | undefined;
  }

  list<T extends KubeObject>(ref: ResourceRef<T>, namespace?: string): readonly T[] {
    const entries = this.#table.storedOf(ref)?.cache.list(namespace) ?? [];
    return entries.map((entry) => entry.view() as T);
  }

  /** Objects that are there already are not told. Follows the resource when it is registered anew. */
  *fields(ref: ResourceRef<KubeObject>, name: string): Generator<{ key: string; value: string }> {
    for (const { key, indexed } of this.#table.storedOf(ref)?.cache.list() ?? []) {
      const value = indexed.fields[name];
      if (value !== undefined) yield { key, value };
    }
  }

  onChange<T extends KubeObject>(
    ref: ResourceRef<T>,
    listener: (object: T, type: "ADDED" | "MODIFIED" | "DELETED") => void,
  ): () => void {
    let cache = this.#table.storedOf(ref)?.cache;
    let stop: (() => void) | undefined;
    const follow = (): void => {
      stop?.();
      stop = cache?.listen((event) => listener(event.entry.view() as T, event.type));
    };
    follow();
    const unlisten = this.#table.onChange(() => {
      const now = this.#table.storedOf(ref)?.cache;
      if (now === cache) return;
      cache = now;
      follow();
    });
    return () => {
      unlisten();
      stop?.();
    };
  }
}
