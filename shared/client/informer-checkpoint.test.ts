import { describe, expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import type { CacheCheckpoint } from "./cache-checkpoint.ts";
import { type Client, ConnectionError, type WatchEvent } from "./client.ts";
import { InformerFactory } from "./informer.ts";

const configMap = (name: string, value: string, resourceVersion?: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default", uid: `uid-${name}`, ...(resourceVersion ? { resourceVersion } : {}) },
  data: { value },
});

/** A server that is away until it is told what to answer to the next watch. */
class Server {
  readonly #answers: ((answer: readonly WatchEvent<ConfigMap>[] | Error) => void)[] = [];
  answer(answer: readonly WatchEvent<ConfigMap>[] | Error): void {
    this.#answers.shift()?.(answer);
  }
  get asked(): boolean {
    return this.#answers.length > 0;
  }
  get client(): Client {
    const answers = this.#answers;
    return {
      async *watch(_: unknown, { signal }: { signal: AbortSignal }) {
        const answer = await new Promise<readonly WatchEvent<ConfigMap>[] | Error>((resolve, reject) => {
          answers.push(resolve);
          signal.addEventListener("abort", () => reject(new Error("ended")));
        });
        if (answer instanceof Error) throw answer;
        yield* answer;
        signal.throwIfAborted();
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("ended"))));
      },
    } as unknown as Client;
  }
}

class MemoryCheckpoint implements CacheCheckpoint {
  objects: readonly KubeObject[] | undefined;
  loads = 0;
  constructor(objects?: readonly KubeObject[]) {
    this.objects = objects;
  }
  keeps = () => true;
  load = () => {
    this.loads++;
    return Promise.resolve(this.objects);
  };
  changed = (_: string, objects: () => readonly KubeObject[]) => {
    this.objects = objects();
  };
}

const state = (...objects: ConfigMap[]): WatchEvent<ConfigMap>[] => [
  ...objects.map((object) => ({ type: "ADDED" as const, object })),
  {
    type: "BOOKMARK",
    object: {
      ...configMap("", ""),
      metadata: { resourceVersion: "100", annotations: { "k8s.io/initial-events-end": "true" } },
    },
  },
];

const away = new ConnectionError("connect ECONNREFUSED");

function setUp(kept?: readonly KubeObject[]) {
  const server = new Server();
  const clock = new ManualClock();
  const checkpoint = new MemoryCheckpoint(kept);
  const factory = new InformerFactory(server.client, { clock, checkpoint });
  const informer = factory.informer(configMaps);
  const seen: string[] = [];
  informer.addHandler(({ type, object }) => seen.push(`${type} ${object.metadata.name} ${object.data?.["value"]}`));
  const run = async (ms = 1): Promise<void> => clock.advance(ms);
  return { server, checkpoint, factory, informer, seen, run };
}

describe("an informer with a checkpoint", () => {
  test("goes on with it while the server is away, and tells the differences alone when it is back", async () => {
    const { server, checkpoint, factory, informer, seen, run } = setUp([
      configMap("changed", "old"),
      configMap("gone", "old"),
      configMap("same", "same"),
    ]);
    factory.start();
    await run();
    expect(informer.isUsable).toBe(false);
    server.answer(away);
    await informer.usable;
    expect(informer).toMatchObject({ isUsable: true, hasSynced: false, isInterrupted: true });
    expect(seen.splice(0)).toEqual(["add changed old", "add gone old", "add same same"]);

    while (!server.asked) await run(500);
    server.answer(
      state(configMap("changed", "new", "7"), configMap("same", "same", "8"), configMap("added", "new", "9")),
    );
    await informer.synced;
    expect(informer.isInterrupted).toBe(false);
    // What it held of the rest is without a version: it is said again.
    expect(seen).toEqual(["update changed new", "update same same", "add added new", "delete gone old"]);
    expect(checkpoint.objects).toHaveLength(3);
    await factory.stop();
  });

  test("does not look at it when the server answers", async () => {
    const { server, checkpoint, factory, informer, seen, run } = setUp([configMap("a", "old")]);
    factory.start();
    await run();
    server.answer(state(configMap("a", "new", "7")));
    await informer.usable;
    await run(10_000);
    expect(checkpoint.loads).toBe(0);
    expect(seen).toEqual(["add a new"]);
    await factory.stop();
  });

  test("does not wait longer than a moment for a server that says nothing", async () => {
    const { factory, informer, run } = setUp([configMap("a", "old")]);
    factory.start();
    await run(3_000);
    expect(informer).toMatchObject({ isUsable: true, hasSynced: false });
    await factory.stop();
  });

  test("without one is usable only with the server's word", async () => {
    const { server, factory, informer, run } = setUp();
    factory.start();
    await run();
    server.answer(away);
    await run(3_000);
    expect(informer.isUsable).toBe(false);
    await factory.stop();
  });

  test("keeps an amendment until the server says something new", async () => {
    const { server, factory, informer, seen, run } = setUp();
    factory.start();
    await run();
    server.answer(state(configMap("a", "server", "7")));
    await informer.synced;
    informer.amend(configMap("a", "board", "7"));
    informer.amend(configMap("unknown", "board"));
    expect(informer.lister.list().map(({ data }) => data?.["value"])).toEqual(["board"]);
    expect(seen).toEqual(["add a server", "update a board"]);
    await factory.stop();
  });
});
