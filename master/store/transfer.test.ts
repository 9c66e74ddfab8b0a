import { expect, test } from "bun:test";
import { openMemoryStore } from "./testing/memory-store.ts";
import { fillAnew, type StateItem, stateRoot } from "./transfer.ts";

const key = (name: string): string => `${stateRoot}configmaps/default/${name}`;
async function* state(names: readonly string[], fault?: Error): AsyncGenerator<StateItem> {
  for (const name of names) yield { key: key(name), value: `{"name":"${name}"}` };
  if (fault) throw fault;
}
const done = async (): Promise<void> => undefined;

test("a store that a broken try left half filled is filled anew; one that holds a cluster is not touched", async () => {
  const store = openMemoryStore();
  await expect(fillAnew(store, state(["old-1", "old-2"], new Error("cut")), done)).rejects.toThrow("cut");
  const uncommitted = async (): Promise<void> => {
    throw new Error("not kept");
  };
  await expect(fillAnew(store, state(["old-3"]), uncommitted)).rejects.toThrow("not kept");
  expect(await fillAnew(store, state(["a", "b"]), done)).toBe(2);
  expect((await store.list(stateRoot)).items.map((item) => item.key)).toEqual([key("a"), key("b")]);
  await expect(fillAnew(store, state(["c"]), done)).rejects.toThrow(/must be empty/);
  expect((await store.list("")).items).toHaveLength(2);
  await store.close();
});
