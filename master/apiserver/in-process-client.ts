/** The API for components in the same process: the same pipeline as a socket's, with shared frozen objects instead of text. */
import { StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { apiVersionOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Status } from "#shared/api/types/meta-v1.generated.ts";
import type {
  Client,
  ListOptions,
  Page,
  RawRequest,
  ReadScope,
  WatchEvent,
  WatchOptions,
} from "#shared/client/client.ts";
import { RequestClient } from "#shared/client/request-client.ts";
import { listUrl, watchUrl } from "#shared/client/request-url.ts";
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

export class InProcessClient extends RequestClient implements Client {
  readonly #access: ServerAccess;
  readonly #userAgent: string;

  constructor(access: ServerAccess, userAgent: string) {
    super();
    this.#access = access;
    this.#userAgent = userAgent;
  }

  async #send(
    method: string,
    url: string,
    body?: object,
    options: Pick<RawRequest, "contentType" | "accept" | "signal"> = {},
  ): Promise<ApiResponse> {
    const { contentType = "application/json", accept, signal = never } = options;
    const headers = {
      "user-agent": this.#userAgent,
      ...(accept ? { accept } : {}),
      ...(body ? { "content-type": contentType } : {}),
    };
    return this.#access.call({ method, url, headers, body: body && withoutAbsentFields(body), signal });
  }

  protected async exchange<T>(method: string, url: string, body?: object, contentType?: string): Promise<T> {
    return valueIn(await this.#send(method, url, body, { contentType })) as T;
  }

  protected async command(method: string, url: string, body?: object): Promise<void> {
    await this.#send(method, url, body);
  }

  /** With the resource's type where it has none, as over a socket the encoder gives it. */
  protected override sent<T>(ref: ResourceRef<T>, object: T): object {
    return { apiVersion: apiVersionOf(ref), kind: ref.kind, ...(object as object) };
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

  sharedCache<T extends KubeObject>(ref: ResourceRef<T>, scope: ReadScope): SharedCache<T> | undefined {
    const { namespace, labelSelector, fieldSelector } = scope;
    return namespace || labelSelector || fieldSelector ? undefined : this.#access.sharedCache(ref);
  }

  async raw({ method, path, body, contentType, accept, signal }: RawRequest): Promise<unknown> {
    const response = await this.#send(method, path, body, { contentType, accept, signal });
    return response.kind === "list" ? listValue(response) : valueIn(response);
  }
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
