/** What is kept beside the objects of a kind by whoever writes these (rest's AfterCreate, AfterUpdate and AfterDelete upstream). */
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { WriteParts, WriteScope } from "./write-scope.ts";

/** One committed write as an object's stored forms: without `before` a create, without `after` a removal. */
export interface StoredChange {
  readonly before?: KubeObject | undefined;
  readonly after?: KubeObject | undefined;
}

export interface WriteCompanion {
  readonly ref: Pick<ResourceRef, "group" | "plural">;
  /** Told once a write is committed; who wrote is answered when this is done. Must not reject: what it could not do is left to a
   *  controller, which has to be there anyway for a server that ends in between. */
  follow(change: StoredChange): Promise<void>;
}

/** Lets those who keep something beside a resource see to it. */
export async function followed(
  { companions = [] }: WriteParts,
  scope: WriteScope,
  change: StoredChange,
): Promise<void> {
  const { group, plural } = scope.stored.declaration.ref;
  for (const companion of companions)
    if (companion.ref.group === group && companion.ref.plural === plural) await companion.follow(change);
}
