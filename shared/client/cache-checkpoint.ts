import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { ReadScope } from "./client.ts";

/** Where informers keep what they hold over a restart of the process. */
export interface CacheCheckpoint {
  /** Is a cache of this resource and scope kept at all? */
  keeps(ref: Pick<ResourceRef<unknown>, "group" | "plural">, scope: ReadScope): boolean;
  /** What was last kept under the name, without resource versions; undefined when there is nothing that can be used. */
  load(name: string): Promise<readonly KubeObject[] | undefined>;
  /** The cache has changed. `objects` is called when it is written, which may be much later. */
  changed(name: string, objects: () => readonly KubeObject[]): void;
}
