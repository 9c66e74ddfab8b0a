import { expect, test } from "bun:test";
import { pods } from "#shared/api/resources.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { ControllerManager } from "./manager.ts";

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
