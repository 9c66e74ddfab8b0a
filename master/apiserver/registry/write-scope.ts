/** What a write is about, and what of the server it goes through. */
import type { KubeObject } from "#shared/api/object.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Store } from "../../store/store.ts";
import type { AdmissionPlugin, RequestLimits } from "../admission/admission.ts";
import type { User } from "../request.ts";
import type { CacheHub } from "../watch-cache/cache-hub.ts";
import { Entry } from "../watch-cache/entry.ts";
import { toUnstoredText } from "../watch-cache/stored-text.ts";
import { checkPathSegment } from "./request-target.ts";
import { indexerOf, type ServedResource, type StoredResource } from "./served-resource.ts";
import type { WriteCompanion } from "./write-companion.ts";

/** The parts of the server that a write goes through. */
export interface WriteParts {
  readonly store: Store;
  readonly hub: CacheHub;
  readonly admission: readonly AdmissionPlugin[];
  readonly companions?: readonly WriteCompanion[] | undefined;
  /** Wall clock in ms since the epoch. */
  now_ms(): number;
}

export interface WriteScope {
  readonly resource: ServedResource;
  readonly stored: StoredResource;
  readonly namespace: string | undefined;
  readonly subresource?: string | undefined;
  readonly user: User;
  /** Field manager, never empty on a write that tracks fields. */
  readonly manager: string;
  readonly dryRun: boolean;
  /** What a client gave of the options, for admission: without kind and dry run. */
  readonly options: object;
  readonly warnings: string[];
  readonly auditAnnotations: Record<string, string>;
  readonly limits?: RequestLimits | undefined;
}

/** As much of it as admission looks at: there may be nothing to write. */
export type AdmissionScope = Omit<WriteScope, "stored" | "manager">;

export const timestamp = (parts: WriteParts): string => rfc3339(parts.now_ms());

/** `namespace/name`, or `name` for a cluster-scoped resource. */
export function cacheKey(scope: Pick<WriteScope, "namespace" | "resource">, name: string): string {
  return scope.resource.declaration.ref.namespaced ? `${scope.namespace ?? ""}/${name}` : name;
}

/** The key of the object that a request names. Throws 400 where no object can have such a name. */
export function addressedKey(scope: Pick<WriteScope, "namespace" | "resource">, name: string): string {
  checkPathSegment(name);
  return cacheKey(scope, name);
}

/** An entry for an answer where the cache holds none or a newer one: dry runs, overtaken writes. */
export function entryFor(scope: WriteScope, key: string, revision: number, stored: string, view: KubeObject): Entry {
  return new Entry(key, revision, stored, indexerOf(scope.stored.declaration)(view), undefined);
}

/** An entry of what would have been created. Its view is not frozen, which would make a long list in it many times as long: nobody but
 *  whoever answers has it. @param object given away. */
export function unstoredEntry(scope: WriteScope, key: string, object: KubeObject): Entry {
  const indexed = indexerOf(scope.stored.declaration)(object);
  return Entry.ofAnswer(key, 0, toUnstoredText(object), indexed, object);
}
