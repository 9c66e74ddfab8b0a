/** Objects that nobody stored, in the form that answers and selections take. */
import type { KubeObject } from "#shared/api/object.ts";
import { Entry } from "../watch-cache/entry.ts";
import { bareObject } from "../watch-cache/stored-text.ts";
import type { ComputedScope } from "./declaration.ts";
import { indexerOf, type ServedResource } from "./served-resource.ts";

/** An entry without a revision: it shows the object as it was worked out. */
class ComputedObject extends Entry {
  readonly #object: KubeObject;

  constructor(object: KubeObject, resource: ServedResource) {
    const { namespace, name = "" } = object.metadata;
    super(namespace ? `${namespace}/${name}` : name, 0, "", indexerOf(resource.declaration)(object), undefined);
    this.#object = object;
  }

  override text(): string {
    return JSON.stringify(this.#object);
  }
  override bareText(): string {
    return JSON.stringify(bareObject(this.#object));
  }
  override view(): KubeObject {
    return this.#object;
  }
}

/** What a declaration works out now. Rejects as it does. */
export async function computedObjects(resource: ServedResource, scope: ComputedScope): Promise<readonly Entry[]> {
  const objects = (await resource.declaration.computed?.(scope)) ?? [];
  return objects.map((object) => new ComputedObject(object, resource));
}
