import type { KubeObject } from "#shared/api/object.ts";
import type { Labels } from "#shared/api/selector/label-selector.ts";
import type { SharedCache, SharedChange, SharedObject } from "#shared/client/shared-cache.ts";
import type { LabelMatch } from "#shared/client/store-index.ts";
import type { ServedResource } from "./registry/served-resource.ts";
import type { Entry } from "./watch-cache/entry.ts";
import type { ResourceCache } from "./watch-cache/resource-cache.ts";

/** A resource's watch cache for informers of this process. `permit` rejects when they may not list and watch it. */
export class SharedResource<T extends KubeObject> implements SharedCache<T> {
  constructor(
    private readonly resource: ServedResource,
    private readonly cache: ResourceCache,
    private readonly permit: () => Promise<void>,
  ) {}

  get size(): number {
    return this.cache.size;
  }

  open(): Promise<void> {
    return this.permit();
  }

  get(key: string): SharedObject<T> | undefined {
    const entry = this.cache.get(key);
    return entry && this.#served(entry);
  }

  labelsOf(key: string): Labels | undefined {
    return this.cache.get(key)?.indexed.labels;
  }

  keys(): IterableIterator<string> {
    return this.cache.keys();
  }

  list(namespace?: string): readonly SharedObject<T>[] {
    return this.cache.list(namespace).map((entry) => this.#served(entry));
  }

  labelled(namespace: string | undefined, matches: LabelMatch): readonly SharedObject<T>[] {
    return this.cache
      .list(namespace)
      .filter(({ indexed }) => matches(indexed.labels))
      .map((entry) => this.#served(entry));
  }

  listen(listener: (change: SharedChange<T>) => void): () => void {
    return this.cache.listen(({ type, entry, previous }) => {
      listener({ type, object: this.#served(entry), previous: previous && this.#served(previous) });
    });
  }

  /** The resource is of kind T: whoever asked named it by a reference to that. */
  #served(entry: Entry): SharedObject<T> {
    return this.resource.serve(entry) as unknown as SharedObject<T>;
  }
}
