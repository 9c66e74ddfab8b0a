import type { ObjectKey } from "../api/object.ts";
import type { ResourceRef } from "../api/resource-ref.ts";
import type { DeleteOptions } from "../api/types/meta-v1.generated.ts";
import type { Client, Patch, ReadScope, WriteOptions } from "./client.ts";
import { collectionUrl, objectUrl, patchContentTypes, writeUrl } from "./request-url.ts";

type Verbs = Pick<Client, "get" | "create" | "update" | "patch" | "delete" | "deleteCollection" | "post">;

/** The verbs of one object as requests: clients differ in how a request is answered, by a socket or in the process. */
export abstract class RequestClient implements Verbs {
  /** Gives the object of the answer. Rejects with StatusError, or ConnectionError where there is none. */
  protected abstract exchange<T>(method: string, url: string, body?: object, contentType?: string): Promise<T>;
  /** Of the answer, only whether it is good counts. */
  protected abstract command(method: string, url: string, body?: object): Promise<void>;

  /** An object as it is sent. */
  protected sent<T>(_ref: ResourceRef<T>, object: T): object {
    return object as object;
  }

  get<T>(
    ref: ResourceRef<T>,
    key: ObjectKey,
    options?: { readonly subresource?: string; readonly resourceVersion?: string },
  ): Promise<T> {
    return this.exchange("GET", objectUrl(ref, key, options));
  }

  create<T>(
    ref: ResourceRef<T>,
    object: T,
    options: WriteOptions & { readonly namespace?: string | undefined } = {},
  ): Promise<T> {
    const { metadata } = object as { metadata?: { namespace?: string; name?: string } };
    const namespace = options.namespace ?? metadata?.namespace;
    const name = options.subresource ? metadata?.name : undefined;
    return this.exchange("POST", writeUrl(ref, { namespace, name }, options), this.sent(ref, object));
  }

  update<T>(ref: ResourceRef<T>, object: T, options?: WriteOptions): Promise<T> {
    const { namespace, name } = (object as { metadata: { namespace?: string; name?: string } }).metadata;
    return this.exchange("PUT", writeUrl(ref, { namespace, name }, options), this.sent(ref, object));
  }

  patch<T>(ref: ResourceRef<T>, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<T> {
    const force = patch.type === "apply" ? patch.force : undefined;
    return this.exchange("PATCH", writeUrl(ref, key, { ...options, force }), patch.body, patchContentTypes[patch.type]);
  }

  delete(ref: ResourceRef<unknown>, key: ObjectKey, options?: DeleteOptions): Promise<void> {
    return this.command("DELETE", objectUrl(ref, key), options);
  }

  deleteCollection(ref: ResourceRef<unknown>, scope: ReadScope, options?: DeleteOptions): Promise<void> {
    return this.command("DELETE", collectionUrl(ref, scope), options);
  }

  post<B extends object>(ref: ResourceRef<unknown>, key: ObjectKey, subresource: string, body: B): Promise<B> {
    return this.exchange("POST", objectUrl(ref, key, { subresource }), body);
  }
}
