import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { longestTimer_ms } from "#shared/client/clock.ts";
import { until } from "#shared/testing/until.ts";
import { type Store, StoreUnavailableError } from "../../store/store.ts";
import { openMemoryStore } from "../../store/testing/memory-store.ts";
import { event } from "../resources/core/event.ts";
import { CacheHub } from "../watch-cache/cache-hub.ts";
import { toStoredText } from "../watch-cache/stored-text.ts";
import type { ResourceDeclaration } from "./declaration.ts";
import { EventExpiry } from "./event-expiry.ts";
import { ResourceTable } from "./resource-table.ts";

const key = "/registry/events/default/a";
const textOf = (reason: string): string =>
  toStoredText({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "a", namespace: "default" },
    reason,
  } as KubeObject);
const atOnce = { lifetime_ms: 1, sweepEvery_ms: 1 };

let store: Store;
let hub: CacheHub;
let table: ResourceTable;
let expiry: EventExpiry | undefined;
beforeEach(async () => {
  store = openMemoryStore();
  hub = new CacheHub(store, () => undefined);
  table = new ResourceTable(hub);
  await table.register(event as ResourceDeclaration);
  await hub.start();
});
afterEach(async () => {
  expiry?.stop();
  hub.stop();
  await store.close();
});

const isGone = async (): Promise<boolean> => (await store.get(key)) === undefined;

test("an event whose deletion has failed goes later, though nobody writes another", async () => {
  let failures = 1;
  const failing: Pick<Store, "delete"> = {
    delete: (...asked) => {
      failures -= 1;
      return failures < 0 ? store.delete(...asked) : Promise.reject(new StoreUnavailableError("no quorum"));
    },
  };
  await hub.waitFor(await store.create(key, textOf("Tried")));
  expiry = new EventExpiry(failing, table, Date.now, atOnce);
  expiry.start();
  await until("the event has gone", isGone, { patience_ms: 20_000 });
});

test("an event that was written again while its deletion failed goes by its last revision", async () => {
  const first = Promise.withResolvers<number>();
  let asked = 0;
  const failing: Pick<Store, "delete"> = {
    delete: (storeKey, expected) => {
      asked += 1;
      return asked === 1 ? first.promise : store.delete(storeKey, expected);
    },
  };
  const created = await store.create(key, textOf("Tried"));
  await hub.waitFor(created);
  expiry = new EventExpiry(failing, table, Date.now, { ...atOnce, sweepEvery_ms: 50 });
  expiry.start();
  await until("its deletion is asked for", () => asked === 1);
  await hub.waitFor(await store.update(key, textOf("Again"), created));
  first.reject(new StoreUnavailableError("no quorum"));
  await until("the event has gone", isGone, { patience_ms: 20_000 });
});

test("a lifetime that no timer can count is waited for in parts", async () => {
  await hub.waitFor(await store.create(key, textOf("Kept")));
  const setting = spyOn(globalThis, "setTimeout");
  try {
    expiry = new EventExpiry(store, table, Date.now, { lifetime_ms: 60 * 86_400_000, sweepEvery_ms: 1 });
    expiry.start();
    expect(setting.mock.calls.map(([, delay_ms]) => delay_ms)).toEqual([longestTimer_ms]);
  } finally {
    setting.mockRestore();
  }
});
