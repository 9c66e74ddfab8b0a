import { expect, test } from "bun:test";
import { Garbage } from "./garbage.ts";

const MiB = 1024 * 1024;

/** A process that holds as much as it is told to, and what is left of that after a collection. */
function holding(usable_bytes = 1024 * MiB): {
  garbage: Garbage;
  hold(size_MiB: number, live_MiB: number): void;
  collections(): number;
} {
  let resident = 0;
  let live = 0;
  let collections = 0;
  const garbage = new Garbage({
    usable_bytes: () => usable_bytes,
    resident_bytes: () => resident * MiB,
    collect: () => {
      collections += 1;
      resident = live;
    },
  });
  return {
    garbage,
    hold: (size, after) => {
      resident = size;
      live = after;
    },
    collections: () => collections,
  };
}

test("a process that has grown by much since its last collection collects", () => {
  const { garbage, hold, collections } = holding();
  hold(150, 100);
  garbage.left(10 * MiB);
  expect(collections()).toBe(0);
  hold(170, 100);
  garbage.left(10 * MiB);
  expect(collections()).toBe(1);
  hold(155, 100);
  garbage.left(10 * MiB);
  expect(collections()).toBe(1);
});

test("what lives is no reason to collect again", () => {
  const { garbage, hold, collections } = holding();
  hold(500, 450);
  garbage.left(10 * MiB);
  hold(500, 450);
  garbage.left(10 * MiB);
  expect(collections()).toBe(1);
  hold(520, 450);
  garbage.left(10 * MiB);
  expect(collections()).toBe(2);
});

test("where memory is ample the engine collects by itself", () => {
  const { garbage, hold, collections } = holding(8192 * MiB);
  hold(900, 100);
  garbage.left(10 * MiB);
  expect(collections()).toBe(0);
});

test("little work is not looked at", () => {
  const { garbage, hold, collections } = holding();
  hold(900, 100);
  for (let index = 0; index < 100; index += 1) garbage.left(1024);
  expect(collections()).toBe(0);
});
