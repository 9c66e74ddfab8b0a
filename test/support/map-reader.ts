import { type KubeObject, keyOf, type ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { ResourceReader } from "../../master/apiserver/registry/reader.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";

type Listener = (object: KubeObject, type: "ADDED" | "MODIFIED" | "DELETED") => void;

/** A ResourceReader over plain maps, for what only reads: authorisers and admission plugins. */
export class MapReader implements ResourceReader {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Map<string, Set<Listener>>();

  put<T extends KubeObject>(ref: ResourceRef<T>, ...objects: T[]): this {
    for (const object of objects) {
      const all = this.#all(ref);
      const type = all.has(keyOf(object)) ? "MODIFIED" : "ADDED";
      all.set(keyOf(object), object);
      for (const listener of this.#listeners.get(id(ref)) ?? []) listener(object, type);
    }
    return this;
  }

  remove(ref: ResourceRef<KubeObject>, key: ObjectKey): void {
    const text = key.namespace ? `${key.namespace}/${key.name}` : key.name;
    const object = this.#all(ref).get(text);
    if (!object) return;
    this.#all(ref).delete(text);
    for (const listener of this.#listeners.get(id(ref)) ?? []) listener(object, "DELETED");
  }

  get<T extends KubeObject>(ref: ResourceRef<T>, key: ObjectKey): T | undefined {
    return this.#all(ref).get(key.namespace ? `${key.namespace}/${key.name}` : key.name) as T | undefined;
  }

  list<T extends KubeObject>(ref: ResourceRef<T>, namespace?: string): readonly T[] {
    return [...this.#all(ref).values()].filter(
      (object) => namespace === undefined || object.metadata.namespace === namespace,
    ) as T[];
  }

  *fields(ref: ResourceRef<KubeObject>, name: string): Generator<{ key: string; value: string }> {
    const declared = builtinDeclarations.find(({ ref: { group, plural } }) => id(ref) === `${group}/${plural}`);
    for (const [key, object] of this.#all(ref)) {
      const value = declared?.selectableFields?.[name]?.(object) ?? "";
      if (value !== "") yield { key, value };
    }
  }

  onChange<T extends KubeObject>(
    ref: ResourceRef<T>,
    listener: (object: T, type: "ADDED" | "MODIFIED" | "DELETED") => void,
  ): () => void {
    const listeners = this.#listeners.get(id(ref)) ?? new Set();
    this.#listeners.set(id(ref), listeners);
    listeners.add(listener as Listener);
    return () => listeners.delete(listener as Listener);
  }

  #all(ref: ResourceRef<KubeObject>): Map<string, KubeObject> {
    const found = this.#objects.get(id(ref)) ?? new Map<string, KubeObject>();
    this.#objects.set(id(ref), found);
    return found;
  }
}

const id = (ref: ResourceRef<KubeObject>): string => `${ref.group}/${ref.plural}`;
