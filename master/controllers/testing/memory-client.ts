import { randomUUID } from "node:crypto";
import { alreadyExists, notFound, staleObject } from "#shared/api/errors.ts";
import { apiVersionOf, type KubeObject, keyOf, type ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import * as builtIn from "#shared/api/resources.ts";
import { parseFieldSelector } from "#shared/api/selector/field-selector.ts";
import { parseLabelSelector } from "#shared/api/selector/label-selector.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import type {
  Client,
  ListOptions,
  Page,
  Patch,
  RawRequest,
  ReadScope,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "#shared/client/client.ts";

type Json = Record<string, unknown>;
const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
interface Change {
  readonly revision: number;
  readonly resource: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

/** The API's storage semantics without its admission, validation and defaults: for tests that look at one loop alone. */
export class MemoryClient implements Client {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #changes: Change[] = [];
  #revision = 0;
  #wake = Promise.withResolvers<void>();
  /** Writes as `verb resource[/subresource] key`, in order. */
  readonly writes: string[] = [];

  async get<T>(ref: ResourceRef<T>, key: ObjectKey): Promise<T> {
    return this.#find(ref, key) as T;
  }

  async list<T>(ref: ResourceRef<T>, options: ListOptions = {}): Promise<Page<T>> {
    const items = [...this.#of(ref).values()].filter((object) => inScope(object, options));
    return { items: items as T[], metadata: { resourceVersion: String(this.#revision) } };
  }

  async *watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    let at = Number(options.resourceVersion ?? this.#revision);
    if (options.sendInitialEvents) {
      at = this.#revision;
      for (const object of this.#of(ref).values())
        if (inScope(object, options)) yield { type: "ADDED", object: object as T };
      const metadata = { resourceVersion: String(at), annotations: { "k8s.io/initial-events-end": "true" } };
      yield { type: "BOOKMARK", object: { apiVersion: apiVersionOf(ref), kind: ref.kind, metadata } as T };
    }
    const aborted = new Promise<void>((resolve) =>
      options.signal.addEventListener("abort", () => resolve(), { once: true }),
    );
    while (!options.signal.aborted) {
      const next = this.#changes.filter(({ revision }) => revision > at);
      for (const { revision, resource, type, object } of next) {
        at = revision;
        if (resource === id(ref) && inScope(object, options)) yield { type, object: object as T };
      }
      if (next.length === 0) await Promise.race([this.#wake.promise, aborted]);
    }
  }

  async create<T>(
    ref: ResourceRef<T>,
    object: T,
    options: WriteOptions & { readonly namespace?: string | undefined } = {},
  ): Promise<T> {
    const draft = structuredClone(object) as unknown as KubeObject;
    draft.apiVersion ??= apiVersionOf(ref);
    draft.kind ??= ref.kind;
    const { metadata } = draft;
    metadata.name ??= `${metadata.generateName}${randomUUID().slice(0, 5)}`;
    if (ref.namespaced) metadata.namespace ??= options.namespace ?? "default";
    const key = keyOf(draft);
    this.writes.push(`create ${ref.plural} ${key}`);
    if (this.#of(ref).has(key)) throw alreadyExists(ref, metadata.name);
    metadata.uid = randomUUID();
    metadata.creationTimestamp = new Date().toISOString();
    metadata.generation = 1;
    return this.#store(ref, draft, "ADDED") as T;
  }

  async update<T>(ref: ResourceRef<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const draft = structuredClone(object) as unknown as KubeObject;
    const present = this.#find(ref, draft.metadata as ObjectKey);
    this.#record("update", ref, keyOf(draft), options.subresource);
    const { resourceVersion } = draft.metadata;
    if (resourceVersion && resourceVersion !== present.metadata.resourceVersion)
      throw staleObject(ref, draft.metadata.name ?? "");
    return this.#change(ref, present, draft, options.subresource) as T;
  }

  async patch<T>(ref: ResourceRef<T>, key: ObjectKey, patch: Patch, options: WriteOptions = {}): Promise<T> {
    const present = this.#find(ref, key);
    this.#record("patch", ref, keyOf({ metadata: key }), options.subresource);
    if (patch.type === "json" || patch.type === "apply") throw new Error(`no ${patch.type} patches here`);
    const body = patch.body as Json;
    const sent = (body["metadata"] ?? {}) as Json;
    if (sent["resourceVersion"] && sent["resourceVersion"] !== present.metadata.resourceVersion)
      throw staleObject(ref, key.name);
    const merged = merge(structuredClone(present) as unknown as Json, body, patch.type === "strategic");
    return this.#change(ref, present, merged as unknown as KubeObject, options.subresource) as T;
  }

  async delete(ref: ResourceRef<unknown>, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    const present = this.#find(ref, key);
    if (options.preconditions?.uid && options.preconditions.uid !== present.metadata.uid)
      throw staleObject(ref, key.name);
    this.#record("delete", ref, keyOf({ metadata: key }), undefined);
    if (options.propagationPolicy === "Foreground" || options.propagationPolicy === "Orphan") {
      const finalizer = options.propagationPolicy === "Orphan" ? "orphan" : "foregroundDeletion";
      this.#markDeleted(ref, present, [...(present.metadata.finalizers ?? []), finalizer]);
    } else if ((present.metadata.finalizers ?? []).length > 0) {
      this.#markDeleted(ref, present, present.metadata.finalizers ?? []);
    } else {
      this.#remove(ref, present);
    }
  }

  async deleteCollection(ref: ResourceRef<unknown>, scope: ReadScope, options?: DeleteOptions): Promise<void> {
    for (const object of [...this.#of(ref).values()])
      if (inScope(object, scope)) await this.delete(ref, object.metadata as ObjectKey, options);
  }

  async post<B extends object>(ref: ResourceRef<unknown>, key: ObjectKey, subresource: string, body: B): Promise<B> {
    const present = this.#find(ref, key);
    this.#record("post", ref, keyOf({ metadata: key }), subresource);
    if (subresource !== "binding") throw new Error(`no ${subresource} here`);
    const draft = structuredClone(present) as unknown as Json;
    (draft["spec"] as Json)["nodeName"] = (body as unknown as { target: { name: string } }).target.name;
    this.#store(ref, draft as unknown as KubeObject, "MODIFIED");
    return body;
  }

  /** Discovery of the built-in resources. */
  async raw({ path }: RawRequest): Promise<unknown> {
    const groupVersion = path.replace(/^\/apis?\/?/, "");
    const refs: ResourceRef<unknown>[] = Object.values(builtIn);
    if (groupVersion === "") {
      const names = new Set(refs.filter(({ group }) => group !== "").map(apiVersionOf));
      return {
        groups: [...names].map((name) => ({ name: name.split("/")[0], versions: [{ groupVersion: name }] })),
      };
    }
    const resources = refs
      .filter((ref) => apiVersionOf(ref) === groupVersion)
      .map(({ plural, kind, namespaced }) => ({ name: plural, kind, namespaced, verbs: [...allVerbs] }));
    return { groupVersion, resources };
  }

  /** How often the verb was used on the resource. */
  count(write: string): number {
    return this.writes.filter((one) => one.startsWith(write)).length;
  }

  #change(ref: ResourceRef<unknown>, present: KubeObject, draft: KubeObject, subresource?: string): KubeObject {
    const old = present as unknown as Json;
    const next = draft as unknown as Json;
    if (subresource === "status") {
      // As upstream: what is written through /status may carry annotations and finalizers along.
      const { annotations, finalizers } = draft.metadata;
      const metadata = { ...present.metadata, annotations, finalizers };
      const kept = { ...structuredClone(old), metadata, status: next["status"] };
      return this.#store(ref, kept as unknown as KubeObject, "MODIFIED");
    }
    for (const field of ["uid", "creationTimestamp", "deletionTimestamp", "generation"] as const)
      (draft.metadata as Json)[field] = present.metadata[field];
    if (JSON.stringify(old["spec"]) !== JSON.stringify(next["spec"]))
      draft.metadata.generation = (present.metadata.generation ?? 0) + 1;
    const specFinalizers = (next["spec"] as { finalizers?: string[] } | undefined)?.finalizers ?? [];
    if (draft.metadata.deletionTimestamp && [...(draft.metadata.finalizers ?? []), ...specFinalizers].length === 0) {
      this.#remove(ref, present);
      return draft;
    }
    return this.#store(ref, draft, "MODIFIED");
  }

  #markDeleted(ref: ResourceRef<unknown>, present: KubeObject, finalizers: readonly string[]): void {
    const draft = structuredClone(present);
    draft.metadata.deletionTimestamp ??= new Date().toISOString();
    draft.metadata.finalizers = [...new Set(finalizers)];
    this.#store(ref, draft, "MODIFIED");
  }

  #remove(ref: ResourceRef<unknown>, present: KubeObject): void {
    this.#of(ref).delete(keyOf(present));
    const last = structuredClone(present);
    last.metadata.resourceVersion = String(++this.#revision);
    this.#announce(ref, "DELETED", last);
  }

  #store(ref: ResourceRef<unknown>, draft: KubeObject, type: "ADDED" | "MODIFIED"): KubeObject {
    draft.metadata.resourceVersion = String(++this.#revision);
    const frozen = deepFreeze(JSON.parse(JSON.stringify(draft)) as KubeObject);
    this.#of(ref).set(keyOf(frozen), frozen);
    this.#announce(ref, type, frozen);
    return frozen;
  }

  #announce(ref: ResourceRef<unknown>, type: Change["type"], object: KubeObject): void {
    this.#changes.push({ revision: this.#revision, resource: id(ref), type, object });
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }

  #find(ref: ResourceRef<unknown>, key: ObjectKey): KubeObject {
    const found = this.#of(ref).get(keyOf({ metadata: key }));
    if (!found) throw notFound(ref, key.name);
    return found;
  }

  #of(ref: ResourceRef<unknown>): Map<string, KubeObject> {
    const known = this.#objects.get(id(ref)) ?? new Map<string, KubeObject>();
    this.#objects.set(id(ref), known);
    return known;
  }

  #record(verb: string, ref: ResourceRef<unknown>, key: string, subresource: string | undefined): void {
    this.writes.push(`${verb} ${ref.plural}${subresource ? `/${subresource}` : ""} ${key}`);
  }
}

const id = (ref: ResourceRef<unknown>): string => `${ref.group}/${ref.plural}`;

function inScope(object: KubeObject, { namespace, labelSelector, fieldSelector }: ReadScope): boolean {
  if (namespace && object.metadata.namespace !== namespace) return false;
  if (labelSelector && !parseLabelSelector(labelSelector).matches(object.metadata.labels)) return false;
  if (!fieldSelector) return true;
  return parseFieldSelector(fieldSelector).matches((field) => {
    let value: unknown = object;
    for (const part of field.split(".")) value = (value as Json | undefined)?.[part];
    return typeof value === "string" ? value : "";
  });
}

/** RFC 7386; as strategic merge, `conditions` merge by type and `$deleteFromPrimitiveList` works. */
function merge(target: Json, patch: Json, strategic: boolean): Json {
  for (const [key, value] of Object.entries(patch)) {
    const present = target[key];
    if (value === null) delete target[key];
    else if (strategic && key.startsWith("$deleteFromPrimitiveList/")) {
      const list = key.slice(key.indexOf("/") + 1);
      target[list] = ((target[list] ?? []) as unknown[]).filter((item) => !(value as unknown[]).includes(item));
    } else if (strategic && key === "conditions" && Array.isArray(value) && Array.isArray(present)) {
      const types = new Set(value.map((condition) => (condition as Json)["type"]));
      target[key] = [...present.filter((condition) => !types.has((condition as Json)["type"])), ...value];
    } else if (typeof value === "object" && value !== undefined && !Array.isArray(value))
      target[key] = merge(
        typeof present === "object" && present !== null ? (present as Json) : {},
        value as Json,
        strategic,
      );
    else if (value !== undefined) target[key] = value;
  }
  return target;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
