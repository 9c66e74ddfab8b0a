import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";

/** Reads the watch caches synchronously, for stages inside the API server (authorisers, admission, allocators). What it
 *  gives is frozen, shared, and at most one store round trip behind; never write on its word alone where a race counts. */
export interface ResourceReader {
  get<T extends KubeObject>(ref: ResourceRef<T>, key: ObjectKey): T | undefined;
  list<T extends KubeObject>(ref: ResourceRef<T>, namespace?: string): readonly T[];
  /** The selectable field of each object that has it, by key; nothing is parsed for that. */
  fields(ref: ResourceRef<KubeObject>, name: string): Iterable<{ readonly key: string; readonly value: string }>;
  /** Called after each change is visible to get and list. Gives a function that ends it. */
  onChange<T extends KubeObject>(
    ref: ResourceRef<T>,
    listener: (object: T, type: "ADDED" | "MODIFIED" | "DELETED") => void,
  ): () => void;
}
