import { afterEach, expect, test } from "bun:test";
import { boundCaches } from "#shared/process/cache-bounds.ts";
import type { CachedObject } from "../request.ts";
import { firstText, type ListParts, ListsUnderWay, type Members } from "./list-parts.ts";

afterEach(() => void boundCaches("off"));

let made = 0;

const objectOf = (name: string): CachedObject => ({
  key: name,
  revision: 1,
  view: () => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } }),
  text: () => name,
  bareText: () => name,
});

const membersOf = (items: readonly CachedObject[]): Members => ({
  items,
  isBare: true,
  textOf: (item) => {
    made += 1;
    return item.bareText();
  },
});

const objects = (count: number): CachedObject[] =>
  Array.from({ length: count }, (_, index) => objectOf(`größe-${index}-${"x".repeat(1000)}`));

/** As a client of its own is sent it, a part for each pull. */
function* sent(list: ListParts): Generator<Uint8Array> {
  for (let from = 0; from < list.members.items.length; ) {
    const part = list.partAt(from);
    from = part.next;
    yield part.bytes;
  }
}

const textOf = (parts: Iterable<Uint8Array>): string => Buffer.concat([...parts]).toString();
const expected = (items: readonly CachedObject[]): string => items.map((item) => item.text()).join(",");

test("lists of the same objects that are sent at the same time are made once, from wherever each one is", () => {
  const lists = new ListsUnderWay();
  const items = objects(2000);
  const members = membersOf(items);
  const first = lists.begin(members, "plain");
  const early = sent(first);
  const begun = [early.next().value as Uint8Array];
  const second = lists.join(membersOf([...items]), "plain");
  expect(second).toBe(first);
  made = 0;
  expect(textOf(sent(first))).toBe(expected(items));
  expect(made).toBe(items.length);
  expect(textOf([...begun, ...early])).toBe(expected(items));
  expect(made).toBe(items.length);
});

test("one who is alone keeps nothing, and nothing stays when all are gone", () => {
  const lists = new ListsUnderWay();
  const members = membersOf(objects(500));
  const alone = lists.begin(members, "plain");
  textOf(sent(alone));
  made = 0;
  textOf(sent(alone));
  expect(made).toBe(500);
  lists.join(members, "plain");
  lists.leave(alone);
  expect(lists.join(members, "plain")).toBe(alone);
  lists.leave(alone);
  lists.leave(alone);
  expect(lists.join(members, "plain")).toBeUndefined();
});

test("other objects, another form of them or of the whole are another list", () => {
  const lists = new ListsUnderWay();
  const items = objects(10);
  const members = membersOf(items);
  lists.begin(members, "stored");
  expect(lists.join(members, "plain")).toBeUndefined();
  expect(lists.join({ ...members, isBare: false }, "stored")).toBeUndefined();
  expect(lists.join(membersOf(items.slice(1)), "stored")).toBeUndefined();
  expect(lists.join(membersOf(items.with(4, objectOf("other"))), "stored")).toBeUndefined();
  expect(lists.join(members, "stored")).toBeDefined();
});

test("a list that is longer than what may be kept is whole all the same", () => {
  boundCaches("on");
  const lists = new ListsUnderWay();
  const items = objects(5000);
  const members = membersOf(items);
  const list = lists.begin(members, "plain");
  lists.join(members, "plain");
  const [one, other] = [sent(list), sent(list)];
  const texts: [Uint8Array[], Uint8Array[]] = [[], []];
  made = 0;
  for (let part = one.next(); !part.done; part = one.next()) {
    texts[0].push(part.value);
    texts[1].push(other.next().value as Uint8Array);
  }
  expect(made).toBe(items.length);
  expect(texts.map(textOf)).toEqual([expected(items), expected(items)]);
  // What was made first is gone.
  textOf(sent(list));
  expect(made).toBeGreaterThan(items.length);
});

test("the beginning of a short list is the whole", () => {
  const items = objects(3);
  expect(firstText(membersOf(items), "plain")).toEqual({ text: expected(items), next: 3 });
});
