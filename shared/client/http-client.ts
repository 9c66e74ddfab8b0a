import { StatusError } from "#shared/api/errors.ts";
import { apiVersionOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { ListMeta, Status } from "#shared/api/types/meta-v1.generated.ts";
import type { Client, ListOptions, Page, RawRequest, WatchEvent, WatchEventType, WatchOptions } from "./client.ts";
import { ConnectionError } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { connectionError, HttpTransport, type HttpTransportOptions } from "./http-transport.ts";
import { readLines } from "./line-stream.ts";
import { RequestClient } from "./request-client.ts";
import { listUrl, watchUrl } from "./request-url.ts";

export interface HttpClientOptions extends HttpTransportOptions {
  /**
   * A watch that allows bookmarks and brings nothing for so long is given up as dead: servers send a bookmark about every
   * minute, and a link that was cut sends no FIN.
   */
  readonly watchSilence_ms?: number | undefined;
}

/** The API over a socket. */
export class HttpClient extends RequestClient implements Client {
  readonly #transport: HttpTransport;
  readonly #watchSilence_ms: number;
  readonly #clock: Clock;
  /** Of each open watch: when it last brought something, and how to end it. */
  readonly #watches = new Set<{ heard_ms: number; readonly dead: AbortController }>();

  constructor(options: HttpClientOptions) {
    super();
    this.#transport = new HttpTransport(options);
    this.#watchSilence_ms = options.watchSilence_ms ?? 150_000;
    this.#clock = options.clock ?? systemClock;
  }

  /** The server that is asked at present. */
  get server(): string {
    return this.#transport.server;
  }

  get isAway(): boolean {
    return this.#transport.isAway;
  }

  async list<T>(ref: ResourceRef<T>, options?: ListOptions): Promise<Page<T>> {
    const list = await this.exchange<{ items: T[] | null; metadata: ListMeta }>("GET", listUrl(ref, options));
    // Servers may leave out of items what the list says already.
    const type = { apiVersion: apiVersionOf(ref), kind: ref.kind };
    return { items: (list.items ?? []).map((item) => ({ ...type, ...item })), metadata: list.metadata };
  }

  async *watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    const dead = new AbortController();
    const response = await this.#transport.send({
      method: "GET",
      url: watchUrl(ref, options),
      signal: AbortSignal.any([options.signal, dead.signal]),
      streams: true,
    });
    if (!response.body) return;
    const watchdog = options.allowWatchBookmarks ? this.#watchSilence_ms : 0;
    const watch = { heard_ms: this.#clock.now_ms(), dead };
    this.#watches.add(watch);
    let cancel: (() => void) | undefined;
    const guard = (): void => {
      const quiet_ms = this.#clock.now_ms() - watch.heard_ms;
      if (quiet_ms >= watchdog)
        dead.abort(new ConnectionError(`${this.server}: the watch of ${ref.plural} went silent`));
      else cancel = this.#clock.after(watchdog - quiet_ms, guard);
    };
    if (watchdog > 0) guard();
    try {
      for await (const line of readLines(response.body)) {
        watch.heard_ms = this.#clock.now_ms();
        yield parseFrame<T>(line);
      }
    } catch (error) {
      if (options.signal.aborted) return;
      if (error instanceof StatusError) throw error;
      throw dead.signal.aborted ? dead.signal.reason : connectionError(error, this.server);
    } finally {
      cancel?.();
      this.#watches.delete(watch);
      dead.abort();
    }
  }

  /** Ends the watches that brought nothing since then (by the clock of the options), for instance because the server lost
   *  power: they fail with ConnectionError, and whoever keeps them begins anew where they were. */
  endSilentWatches(since_ms: number): void {
    for (const { heard_ms, dead } of this.#watches) {
      if (heard_ms <= since_ms)
        dead.abort(new ConnectionError(`${this.server}: the link was cut, a watch begins anew`));
    }
  }

  // A path may have one media type of its own.
  async raw({
    method,
    path,
    body,
    contentType,
    accept = "application/json, */*",
    signal,
  }: RawRequest): Promise<unknown> {
    const response = await this.#transport.send({ method, url: path, body, contentType, accept, signal });
    const text = await this.#text(response);
    return response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text;
  }

  protected async exchange<T>(method: string, url: string, body?: object, contentType?: string): Promise<T> {
    const response = await this.#transport.send({ method, url, body, contentType });
    return JSON.parse(await this.#text(response)) as T;
  }

  protected async command(method: string, url: string, body?: object): Promise<void> {
    await this.exchange(method, url, body);
  }

  async #text(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      throw connectionError(error, this.server);
    }
  }
}

function parseFrame<T>(line: string): WatchEvent<T> {
  const frame = JSON.parse(line) as { type: WatchEventType | "ERROR"; object: unknown };
  if (frame.type === "ERROR") throw StatusError.fromStatus(frame.object as Status, 500);
  return { type: frame.type, object: frame.object as T };
}
