/** The API for components in the same process: the same pipeline as a socket's, with shared frozen objects instead of text. */
import { StatusError } from "#shared/api/errors.ts";
import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import { apiVersionOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { DeleteOptions, Status } from "#shared/api/types/meta-v1.generated.ts";
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
import {
  collectionUrl,
  listUrl,
  objectUrl,
  patchContentTypes,
  watchUrl,
  writeUrl,
} from "#shared/client/request-url.ts";
import type { SharedCache } from "#shared/client/shared-cache.ts";
import { listValue } from "./http/list-pieces.ts";
import type { ApiResponse, WatchFrame } from "./request.ts";

export interface Call {
  readonly method: string;
  /** Path with query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object | undefined;
  readonly signal: AbortSignal;
}

const never = new AbortController().signal;

/** What a client in the same process is given of the server, for one user. */
export interface ServerAccess {
  call(call: Call): Promise<ApiResponse>;
  sharedCache<T extends KubeObject>(ref: ResourceRef<T>): SharedCache<T> | undefined;
}

export class InProcessClient implements Client {
  readonly #access: ServerAccess;
  readonly #userAgent: string;

  constructor(access: ServerAccess, userAgent: string) {
    this.#access = access;
    this.#userAgent = userAgent;
  }

  async #send(
    method: string,
    url: string,
    body?: object,
    options: { readonly contentType?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ApiResponse> {
    const { contentType = "application/json", signal = never } = options;
    const headers = { "user-agent": this.#userAgent, ...(body ? { "content-type": contentType } : {}) };
    return this.#access.call({ method, url, headers, body: body && withoutAbsentFields(body), signal });
  }

  async #object<T>(method: string, url: string, body?: object, contentType?: string): Promise<T> {
    return valueIn(await this.#send(method, url, body, { contentType })) as T;
  }

  get<T>(
    ref: ResourceRef<T>,
    key: ObjectKey,
    options?: { readonly subresource?: string; readonly resourceVersion?: string },
  ): Promise<T> {
    return this.#object("GET", objectUrl(ref, key, options));
  }

  async list<T>(ref: ResourceRef<T>, options?: ListOptions): Promise<Page<T>> {
    const response = await this.#send("GET", listUrl(ref, options));
    if (response.kind !== "list") throw unexpected(response);
    return { items: response.items.map((item) => item.view() as T), metadata: response.metadata };
  }

  async *watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    const response = await this.#send("GET", watchUrl(ref, options), undefined, { signal: options.signal });
    if (response.kind !== "watch") throw unexpected(response);
    for await (const frame of response.frames) yield eventOf<T>(frame);
  }

  create<T>(
    ref: ResourceRef<T>,
    object: T,
    options: WriteOptions & { readonly namespace?: string | undefined } = {},
  ): Promise<T> {
    const { metadata } = object as { metadata?: { namespace?: string; name?: string } };
    const namespace = options.namespace ?? metadata?.namespace;
    const name = options.subresource ? metadata?.name : undefined;
    return this.#object("POST", writeUrl(ref, { namespace, name }, options), typed(ref, object));
  }

  update<T>(ref: ResourceRef<T>, object: T, options?: WriteOptions): Promise<T> {
    const { namespace, name } = (object as { metadata: { namespace?: string; name?: string } }).metadata;
    return this.#object("PUT", writeUrl(ref, { namespace, name }, options), typed(ref, object));
  }

  patch<T>(ref: ResourceRef<T>, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<T> {
    const force = patch.type === "apply" ? patch.force : undefined;
    return this.#object("PATCH", writeUrl(ref, key, { ...options, force }), patch.body, patchContentTypes[patch.type]);
  }

  async delete(ref: ResourceRef<unknown>, key: ObjectKey, options?: DeleteOptions): Promise<void> {
    await this.#send("DELETE", objectUrl(ref, key), options);
  }

  async deleteCollection(ref: ResourceRef<unknown>, scope: ReadScope, options?: DeleteOptions): Promise<void> {
    await this.#send("DELETE", collectionUrl(ref, scope), options);
  }

  post<B extends object>(ref: ResourceRef<unknown>, key: ObjectKey, subresource: string, body: B): Promise<B> {
    return this.#object("POST", objectUrl(ref, key, { subresource }), body);
  }

  sharedCache<T extends KubeObject>(ref: ResourceRef<T>, scope: ReadScope): SharedCache<T> | undefined {
    const { namespace, labelSelector, fieldSelector } = scope;
    return namespace || labelSelector || fieldSelector ? undefined : this.#access.sharedCache(ref);
  }

  async raw({ method, path, body, contentType, signal }: RawRequest): Promise<unknown> {
    const response = await this.#send(method, path, body, { contentType, signal });
    return response.kind === "list" ? listValue(response) : valueIn(response);
  }
}

/** A body without its type gets that of the resource, as over a socket the encoder gives it. */
function typed<T>(ref: ResourceRef<T>, object: T): object {
  return { apiVersion: apiVersionOf(ref), kind: ref.kind, ...(object as object) };
}

/** What JSON would carry: a field that is undefined is not there. Copies only where there is such a field. */
function withoutAbsentFields<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map(withoutAbsentFields);
    return items.every((item, index) => item === value[index]) ? value : (items as T);
  }
  const entries = Object.entries(value);
  const kept = entries
    .filter(([, inner]) => inner !== undefined)
    .map(([key, inner]) => [key, withoutAbsentFields(inner)] as const);
  const same = kept.length === entries.length && kept.every(([, inner], index) => inner === entries[index]?.[1]);
  return same ? value : (Object.fromEntries(kept) as T);
}

function valueIn(response: ApiResponse): unknown {
  if (response.kind === "object") return response.value();
  if (response.kind === "bytes" && typeof response.body === "string") {
    return response.contentType.includes("json") ? JSON.parse(response.body) : response.body;
  }
  throw unexpected(response);
}

function eventOf<T>(frame: WatchFrame): WatchEvent<T> {
  const object = frame.view();
  if (frame.type === "ERROR") throw StatusError.fromStatus(object as Status, 500);
  return { type: frame.type, object: object as T };
}

const unexpected = (response: ApiResponse): Error =>
  new Error(`the API server answered with ${response.kind} where that was not asked for`);
