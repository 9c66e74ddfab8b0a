import type { KubeObject } from "#shared/api/object.ts";
import type { Labels } from "#shared/api/selector/label-selector.ts";
import type { LabelMatch } from "./store-index.ts";

/** An object at one revision, parsed when somebody looks at it. */
export interface SharedObject<T> {
  /** As keyOf gives it. */
  readonly key: string;
  /** Frozen and shared. Keep what you need of it, not the whole: it is parsed again for the next who asks. */
  view(): T;
}

export interface SharedChange<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  /** Of a deletion the last state. */
  readonly object: SharedObject<T>;
  readonly previous: SharedObject<T> | undefined;
}

/** One resource's objects as the API server of this process holds them, for informers that then need no copies. */
export interface SharedCache<T extends KubeObject> {
  readonly size: number;
  /** Resolves when whoever asked for the cache may list and watch the resource; rejects as such a request would. */
  open(): Promise<void>;
  get(key: string): SharedObject<T> | undefined;
  /** Of the object with this key, without a look at it. */
  labelsOf(key: string): Labels | undefined;
  keys(): IterableIterator<string>;
  /** In the order of their keys, of one namespace or of all. The array is the caller's. */
  list(namespace?: string): readonly SharedObject<T>[];
  /** Those of them whose labels match, by what is kept beside their texts. */
  labelled(namespace: string | undefined, matches: LabelMatch): readonly SharedObject<T>[];
  /** Every change from now on, when `get` shows it already. Gives what ends that. */
  listen(listener: (change: SharedChange<T>) => void): () => void;
}
