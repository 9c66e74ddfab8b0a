/** The served resources, which may come and go while the server runs (CustomResourceDefinitions). */
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { RequestInfo } from "../request.ts";
import type { CacheHub } from "../watch-cache/cache-hub.ts";
import type { ResourceCache } from "../watch-cache/resource-cache.ts";
import { type ResourceDeclaration, versionsOf } from "./declaration.ts";
import { indexerOf, ServedResource, type StoredResource } from "./served-resource.ts";
import { storedFormOf } from "./stored-form.ts";

const addressOf = (group: string, version: string, plural: string): string => `${group}/${version}/${plural}`;

const versionOf = (group: string, version: string): string => `${group}/${version}`;

/** Keys of built-in resources name the plural alone, of custom ones the group before it. */
function prefixOf({ ref, custom }: ResourceDeclaration): string {
  return custom ? `/registry/${ref.group}/${ref.plural}/` : `/registry/${ref.plural}/`;
}

interface Registered {
  readonly declaration: ResourceDeclaration;
  readonly served: readonly ServedResource[];
}

export class ResourceTable {
  readonly #hub: CacheHub;
  readonly #registered = new Map<string, Registered>();
  readonly #byAddress = new Map<string, ServedResource>();
  readonly #stored = new Map<string, StoredResource>();
  readonly #builtin = new Map<string, readonly [group: string, plural: string]>();
  /** Versions of groups that the server has of its own: upstream's router ends there. */
  readonly #ownVersions = new Set<string>();
  readonly #listeners = new Set<() => void>();
  /** Raised with every change: what is built from the table may be kept until it differs. */
  generation = 0;

  constructor(hub: CacheHub) {
    this.#hub = hub;
  }

  /** Serves a resource from now on, in place of what was registered under its group and plural; objects stay. A custom one is not
   *  served in a version of a group that the server has of its own. */
  async register(declaration: ResourceDeclaration): Promise<void> {
    const stored = await this.#storageOf(declaration);
    const id = idOf(declaration);
    this.#forget(id);
    const { ref } = declaration;
    const named = versionsOf(declaration);
    if (!declaration.custom) for (const { version } of named) this.#ownVersions.add(versionOf(ref.group, version));
    const served = named
      .filter(({ version, served }) => served && !(declaration.custom && this.#isOwn(ref.group, version)))
      .map(
        ({ version, served, ...rest }) =>
          new ServedResource(rest.declaration ?? declaration, version, rest.deprecationWarning, stored, {
            isForAll: served === true,
            removedRelease: rest.removedRelease,
          }),
      );
    this.#registered.set(id, { declaration, served });
    for (const resource of served) this.#byAddress.set(addressOf(ref.group, resource.version, ref.plural), resource);
    this.#changed();
  }

  #isOwn(group: string, version: string): boolean {
    return this.#ownVersions.has(versionOf(group, version));
  }

  /** Whether the server has a resource of its own by this name, in whose place no custom one may be put. */
  hasOwn(ref: Pick<ResourceRef, "group" | "plural">): boolean {
    const registered = this.#registered.get(idOfRef(ref));
    return registered !== undefined && !registered.declaration.custom;
  }

  async #storageOf(declaration: ResourceDeclaration): Promise<StoredResource | undefined> {
    if (declaration.storedAs) {
      const shared = this.#stored.get(idOfRef(declaration.storedAs.ref));
      if (!shared) throw new Error(`${declaration.ref.plural}: register ${declaration.storedAs.ref.plural} first`);
      return shared;
    }
    const writable = declaration.verbs === undefined || declaration.verbs.includes("update");
    if (declaration.virtual || !writable) return undefined;
    const id = idOf(declaration);
    const present = this.#stored.get(id);
    const cache = present?.cache ?? (await this.#attach(declaration));
    const stored = { declaration, cache };
    const { group, plural } = declaration.ref;
    if (!declaration.custom) this.#builtin.set(plural, [group, plural]);
    this.#stored.set(id, stored);
    return stored;
  }

  #attach(declaration: ResourceDeclaration): Promise<ResourceCache> {
    return this.#hub.attach(prefixOf(declaration), indexerOf(declaration), storedFormOf(declaration));
  }

  /** Whose a key of the store is, or all keys that begin so; undefined: no resource's. */
  ownerOf(key: string): readonly [group: string, plural: string] | undefined {
    const [, , first = "", second = ""] = key.split("/", 4);
    // Plurals have no dot, groups of custom resources do.
    return first.includes(".") ? [first, second] : this.#builtin.get(first);
  }

  /** Serves it no more. Objects stay in the store. */
  unregister(ref: Pick<ResourceRef, "group" | "plural">): void {
    const id = idOfRef(ref);
    if (!this.#registered.has(id)) return;
    this.#forget(id);
    const stored = this.#stored.get(id);
    if (stored) this.#hub.detach(stored.cache);
    this.#stored.delete(id);
    this.#changed();
  }

  /** Everyone who watches a resource's objects must begin anew. */
  endWatches(ref: Pick<ResourceRef, "group" | "plural">): void {
    this.storedOf(ref)?.cache.close();
  }

  #forget(id: string): void {
    for (const { declaration, version } of this.#registered.get(id)?.served ?? []) {
      this.#byAddress.delete(addressOf(declaration.ref.group, version, declaration.ref.plural));
    }
    this.#registered.delete(id);
  }

  #changed(): void {
    this.generation += 1;
    for (const listener of this.#listeners) listener();
  }

  /** Called after each change. Gives a function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  find(group: string, version: string, plural: string): ServedResource | undefined {
    const found = this.findInProcess(group, version, plural);
    return found?.isForAll ? found : undefined;
  }

  /** As the server's own parts have it: with what is off for everybody else. */
  findInProcess(group: string, version: string, plural: string): ServedResource | undefined {
    return this.#byAddress.get(addressOf(group, version, plural));
  }

  /** Whether there is what a request names, its subresource included. */
  isServed({ isResourceRequest, group, version, resource, subresource }: RequestInfo): boolean {
    if (!isResourceRequest) return true;
    const found = this.find(group, version, resource);
    return found !== undefined && (!subresource || found.declaration.subresources?.[subresource] !== undefined);
  }

  /** Where a resource's objects rest, in whatever version it is named. */
  storedOf(ref: Pick<ResourceRef, "group" | "plural">): StoredResource | undefined {
    return this.#stored.get(idOfRef(ref));
  }

  all(): Iterable<ServedResource> {
    return this.#byAddress.values().filter(({ isForAll }) => isForAll);
  }

  declarations(): ResourceDeclaration[] {
    return [...this.#registered.values()].map(({ declaration }) => declaration);
  }
}

const idOfRef = (ref: Pick<ResourceRef, "group" | "plural">): string => `${ref.group}/${ref.plural}`;
const idOf = (declaration: ResourceDeclaration): string => idOfRef(declaration.ref);
