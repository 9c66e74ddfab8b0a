/** The whole state of a cluster, out of one store and into another. */
import type { ListRange, Revision, Store } from "./store.ts";

/** A key with its JSON, as the API server stored it, or with what rests of that. */
export interface StateItem {
  readonly key: string;
  readonly value: string;
}

export const stateRoot = "/registry/";
const PAGE = 500;
/** Writes under way at once: enough for the stores to group them. */
const WRITES_AT_ONCE = 64;

/** All state as of one revision, in key order. */
export async function* wholeState(store: Store, how: Pick<ListRange, "asItRests"> = {}): AsyncGenerator<StateItem> {
  let startAfter: string | undefined;
  let revision: Revision | undefined;
  for (;;) {
    const page = await store.list(stateRoot, { ...how, limit: PAGE, startAfter, revision });
    for (const { key, value } of page.items) yield { key, value };
    if (!page.more) return;
    startAfter = page.items.at(-1)?.key;
    revision = page.revision;
  }
}

/** The store holds a cluster already. */
class StoreNotEmptyError extends Error {
  override readonly name = "UserError";
}

/** Throws StoreNotEmptyError.
 *  @param mend what a person can do about it. */
export async function assertEmpty(store: Store, mend = "it must be empty"): Promise<void> {
  const { items } = await store.list(stateRoot, { limit: 1 });
  const [first] = items;
  if (first) throw new StoreNotEmptyError(`the store to fill holds a cluster's state already (${first.key}): ${mend}`);
}

/** Stands in a store while a cluster's state is written into it. */
const unfinishedKey = "bramble_move_unfinished";

/** Fills an empty store, or one that a try before left half filled; what is in it counts from when `commit` has succeeded.
 *  Gives how many objects there were. Throws StoreNotEmptyError. */
export async function fillAnew(
  store: Store,
  state: AsyncIterable<StateItem>,
  commit: () => Promise<void>,
): Promise<number> {
  const unfinished = await store.get(unfinishedKey);
  if (unfinished) await clear(store);
  await assertEmpty(store);
  const mark = unfinished?.revision ?? (await store.create(unfinishedKey, "{}"));
  const count = await fillStore(store, state);
  await commit();
  await store.delete(unfinishedKey, mark);
  return count;
}

async function clear(store: Store): Promise<void> {
  for (;;) {
    const { items } = await store.list(stateRoot, { limit: PAGE });
    if (items.length === 0) return;
    await Promise.all(items.map(({ key, revision }) => store.delete(key, revision)));
  }
}

/** Writes all of it. Gives how many there were. */
export async function fillStore(store: Store, state: AsyncIterable<StateItem>): Promise<number> {
  let count = 0;
  let failure: unknown;
  const pending = new Set<Promise<void>>();
  for await (const { key, value } of state) {
    if (pending.size >= WRITES_AT_ONCE) await Promise.race(pending);
    if (failure !== undefined) break;
    const write: Promise<void> = store
      .create(key, value)
      .then(
        () => undefined,
        (error: unknown) => {
          failure ??= error;
        },
      )
      .finally(() => pending.delete(write));
    pending.add(write);
    count += 1;
  }
  await Promise.all(pending);
  if (failure !== undefined) throw failure;
  return count;
}
