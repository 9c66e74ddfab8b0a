import { expect, test } from "bun:test";
import { notFound } from "#shared/api/errors.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { configMaps, pods } from "#shared/api/resources.ts";
import { type Client, ConnectionError, type ListOptions, type WatchOptions } from "#shared/client/client.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { ControllerManager } from "./manager.ts";
import { eventually } from "./testing/eventually.ts";
import { MemoryClient } from "./testing/memory-client.ts";

const away = (): Promise<never> => Promise.reject(new ConnectionError("nobody answers"));
const watch = async function* (): AsyncGenerator<never> {
  yield await away();
};
const client = { list: away, watch, isAway: true } as unknown as Client;

test("a start that waits for an API server that is away ends with its manager", async () => {
  const reconciled: string[] = [];
  const waiting = defineController({
    name: "waiting",
    watches: [watching(pods)],
    reconcile: async (key) => void reconciled.push(key),
  });
  const manager = new ControllerManager({ client, clientFor: () => client, controllers: [waiting] });
  const started = manager.start();
  await Promise.all([manager.stop(), manager.stop()]);
  await started;
  await expect(manager.check()).rejects.toThrow("controllers are ending");
  expect(reconciled).toEqual([]);
});

/** Serves ConfigMaps only from some time on, as one does whose definitions come after its start. */
class YoungServer extends MemoryClient {
  isGrown = false;

  override async list<T>(ref: ResourceRef<T>, options?: ListOptions) {
    this.#refuse(ref);
    return super.list(ref, options);
  }

  override async *watch<T>(ref: ResourceRef<T>, options: WatchOptions) {
    this.#refuse(ref);
    yield* super.watch(ref, options);
  }

  #refuse(ref: ResourceRef<unknown>): void {
    if (ref.plural === configMaps.plural && !this.isGrown) throw notFound(ref, "");
  }
}

test("nobody waits for an optional controller, which begins when its kind is served", async () => {
  const server = new YoungServer();
  const reconciled: string[] = [];
  const optional = defineController({
    name: "optional",
    isOptional: true,
    watches: [watching(configMaps)],
    reconcile: async (key) => void reconciled.push(key),
  });
  const usual = defineController({ name: "usual", watches: [watching(pods)], reconcile: async () => undefined });
  const manager = new ControllerManager({ client: server, clientFor: () => server, controllers: [optional, usual] });
  await manager.start();
  expect(await manager.check()).toBe("ok");
  server.isGrown = true;
  await server.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "a", name: "b" } });
  await eventually(() => reconciled.length > 0, "a look at the ConfigMap");
  expect(reconciled).toEqual(["a/b"]);
  await manager.stop();
});

test("an optional controller whose kind never comes ends with its manager", async () => {
  const server = new YoungServer();
  const optional = defineController({
    name: "optional",
    isOptional: true,
    watches: [watching(configMaps)],
    reconcile: async () => undefined,
  });
  const manager = new ControllerManager({ client: server, clientFor: () => server, controllers: [optional] });
  await manager.start();
  await manager.stop();
});
