import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
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
import type { ControllerDefinition } from "#shared/client/controller.ts";
import type { SharedCache } from "#shared/client/shared-cache.ts";
import { Random } from "../fuzz/random.ts";

/** How late components are, for tests whose outcome must not depend on who is quicker. */
export interface Delays {
  /** A client of the component, whose requests and answers are on their way for a while, and whose watches tell late. */
  client(name: string, client: Client): Client;
  /** The controller, but it takes its time before it looks at a key. */
  controller(definition: ControllerDefinition): ControllerDefinition;
}

const none: Delays = { client: (_, client) => client, controller: (definition) => definition };

/**
 * @param text `BRAMBLE_TEST_DELAYS`: a whole number, from which all delays come. With an even one caches are the API
 *   server's own, as in a master of one process; with an odd one each is fed by a watch that lags, as in components of
 *   their own. Absent: nothing is delayed.
 */
export function delaysBy(text: string | undefined): Delays {
  if (!text) return none;
  const seed = Number(text);
  if (!Number.isSafeInteger(seed)) throw new Error(`BRAMBLE_TEST_DELAYS is no whole number: ${text}`);
  const lagOf = (name: string): Lag => new Lag(new Random(Bun.hash.crc32(`${seed} ${name}`)));
  return {
    client: (name, client) => new LateClient(client, name, lagOf, seed % 2 === 0),
    controller(definition) {
      const lag = lagOf(`${definition.name} looks`);
      return {
        ...definition,
        async reconcile(key, context) {
          await Bun.sleep(lag.next_ms());
          return definition.reconcile(key, context);
        },
      };
    },
  };
}

/** Most of a delay, in ms, in a stretch of time; a component is prompt about half of the time. */
const paces = [
  [0, 0],
  [0, 0],
  [0, 40],
  [0, 400],
  [1_000, 2_000],
] as const;

/** How late somebody is: for a stretch of time alike. */
class Lag {
  readonly #random: Random;
  #pace: (typeof paces)[number] = paces[0];
  #until_ms = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  next_ms(): number {
    const now_ms = performance.now();
    if (now_ms >= this.#until_ms) {
      this.#pace = this.#random.pick(paces);
      this.#until_ms = now_ms + this.#random.between(200, 3_000);
    }
    const [least_ms, most_ms] = this.#pace;
    return this.#random.between(least_ms, most_ms);
  }
}

class LateClient implements Client {
  readonly #inner: Client;
  readonly #name: string;
  readonly #lagOf: (name: string) => Lag;
  readonly #sharesCaches: boolean;
  readonly #lag: Lag;

  constructor(inner: Client, name: string, lagOf: (name: string) => Lag, sharesCaches: boolean) {
    this.#inner = inner;
    this.#name = name;
    this.#lagOf = lagOf;
    this.#sharesCaches = sharesCaches;
    this.#lag = lagOf(name);
  }

  sharedCache<T extends KubeObject>(ref: ResourceRef<T>, scope: ReadScope): SharedCache<T> | undefined {
    return this.#sharesCaches ? this.#inner.sharedCache?.(ref, scope) : undefined;
  }

  async *watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    const lag = this.#lagOf(`${this.#name} ${ref.plural}`);
    for await (const { event, came_ms } of asTheyCome(this.#inner.watch(ref, options))) {
      const wait_ms = came_ms + lag.next_ms() - performance.now();
      if (wait_ms > 0) await Bun.sleep(wait_ms);
      if (options.signal.aborted) return;
      yield event;
    }
  }

  get<T>(ref: ResourceRef<T>, key: ObjectKey, options?: { readonly subresource?: string }): Promise<T> {
    return this.#late(() => this.#inner.get(ref, key, options));
  }

  list<T>(ref: ResourceRef<T>, options?: ListOptions): Promise<Page<T>> {
    return this.#late(() => this.#inner.list(ref, options));
  }

  create<T>(ref: ResourceRef<T>, object: T, options?: WriteOptions & { namespace?: string | undefined }): Promise<T> {
    const create = (): Promise<T> => this.#inner.create(ref, object, options);
    // Nothing depends on Events, and one waits for the other.
    return ref.plural === "events" ? create() : this.#late(create);
  }

  update<T>(ref: ResourceRef<T>, object: T, options?: WriteOptions): Promise<T> {
    return this.#late(() => this.#inner.update(ref, object, options));
  }

  patch<T>(ref: ResourceRef<T>, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<T> {
    const change = (): Promise<T> => this.#inner.patch(ref, key, patch, options);
    return ref.plural === "events" ? change() : this.#late(change);
  }

  delete(ref: ResourceRef<unknown>, key: ObjectKey, options?: DeleteOptions): Promise<void> {
    return this.#late(() => this.#inner.delete(ref, key, options));
  }

  deleteCollection(ref: ResourceRef<unknown>, scope: ReadScope, options?: DeleteOptions): Promise<void> {
    return this.#late(() => this.#inner.deleteCollection(ref, scope, options));
  }

  post<B extends object>(ref: ResourceRef<unknown>, key: ObjectKey, subresource: string, body: B): Promise<B> {
    return this.#late(() => this.#inner.post(ref, key, subresource, body));
  }

  raw(request: RawRequest): Promise<unknown> {
    return this.#late(() => this.#inner.raw(request));
  }

  /** What is asked comes late, and so does the answer: caches may show first what was written. */
  async #late<T>(ask: () => Promise<T>): Promise<T> {
    await Bun.sleep(this.#lag.next_ms());
    try {
      return await ask();
    } finally {
      await Bun.sleep(this.#lag.next_ms());
    }
  }
}

/** The events with the moments when they came, read as they come: who is slow with one makes none after it late. */
async function* asTheyCome<T>(
  watch: AsyncIterable<WatchEvent<T>>,
): AsyncGenerator<{ event: WatchEvent<T>; came_ms: number }> {
  const came: { event: WatchEvent<T>; came_ms: number }[] = [];
  let wake = Promise.withResolvers<void>();
  let hasEnded = false;
  const reading = (async () => {
    for await (const event of watch) {
      came.push({ event, came_ms: performance.now() });
      wake.resolve();
    }
  })().finally(() => {
    hasEnded = true;
    wake.resolve();
  });
  // It is told below, once what came before has been.
  reading.catch(() => undefined);
  for (;;) {
    yield* came.splice(0);
    if (came.length > 0) continue;
    if (hasEnded) return await reading;
    await wake.promise;
    wake = Promise.withResolvers<void>();
  }
}
