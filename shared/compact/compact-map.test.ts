import { expect, test } from "bun:test";
import fc from "fast-check";
import { CompactMap } from "./compact-map.ts";

const sorted = <V>(entries: Iterable<readonly [string, V]>): (readonly [string, V])[] =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : 1));

test("it does what a map does, whatever is set and deleted in whatever order", () => {
  const key = fc.oneof(fc.nat({ max: 60 }).map(String), fc.constantFrom("", "__proto__", "ü/ö", "constructor"));
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ does: fc.constant("set" as const), key, value: fc.nat() }) },
    { weight: 4, arbitrary: fc.record({ does: fc.constant("delete" as const), key, value: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant("clear" as const), key, value: fc.constant(0) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const map = new CompactMap<number>();
      const model = new Map<string, number>();
      for (const { does, key, value } of steps) {
        if (does === "set") {
          map.set(key, value);
          model.set(key, value);
        } else if (does === "delete") expect(map.delete(key)).toBe(model.delete(key));
        else {
          map.clear();
          model.clear();
        }
        expect([map.size, map.get(key), map.has(key)]).toEqual([model.size, model.get(key), model.has(key)]);
      }
      expect(sorted(map)).toEqual(sorted(model));
      expect([...map.keys()].sort()).toEqual([...model.keys()].sort());
      expect([...map.values()].sort()).toEqual([...model.values()].sort());
    }),
    { numRuns: 200 },
  );
});

test("one of 20,000 entries takes less than a third of the engine's own", async () => {
  // In a process of its own, whose heap nothing else grows or shrinks.
  const child = Bun.spawn([process.execPath, new URL("testing/map-sizes.ts", import.meta.url).pathname]);
  const { engines, compact } = (await new Response(child.stdout).json()) as { engines: number; compact: number };
  expect(engines).toBeGreaterThan(1_000_000);
  expect(compact).toBeLessThan(engines / 3);
});

test("entries that stay are told once each while others come and go", () => {
  const names = Array.from({ length: 1000 }, (_, index) => `${index}`);
  const stays = (name: string): boolean => Number(name) % 50 === 0;
  const map = new CompactMap(names.map((name) => [name, name] as const));
  const told: string[] = [];
  for (const [key, value] of map) {
    expect(value).toBe(key);
    if (stays(key)) told.push(key);
    // All that goes, goes at the first look: lists are made anew several times under the loop.
    else for (const name of names) if (!stays(name)) map.delete(name);
    map.set(`new ${told.length}`, `new ${told.length}`);
    if (told.length > 100) break;
  }
  expect(told.sort()).toEqual(names.filter(stays).sort());
});

test("what was deleted takes no memory for long", () => {
  const map = new CompactMap<number>();
  for (let round = 0; round < 5; round++) {
    for (let index = 0; index < 5_000; index++) map.set(`${round}/${index}`, index);
    for (let index = 0; index < 5_000; index++) map.delete(`${round}/${index}`);
  }
  expect(map.size).toBe(0);
  map.set("a", 1);
  expect([...map]).toEqual([["a", 1]]);
});
