import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { patience_ms } from "./expectations.ts";
import type { Lister } from "./store-index.ts";
import { WrittenVersions } from "./written-versions.ts";

const object = (resourceVersion: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "n", name: "a", resourceVersion },
});
const cacheOf = (present?: KubeObject): Lister<KubeObject> =>
  ({ get: (key: string) => (key === "n/a" ? present : undefined) }) as Lister<KubeObject>;
const clock = new ManualClock();

test("a write is waited for until the cache shows it or something newer", () => {
  const versions = new WrittenVersions();
  versions.wrote("owner", object("9"));
  expect(versions.wait_ms("owner", cacheOf(), clock)).toBe(patience_ms);
  expect(versions.wait_ms("owner", cacheOf(object("8")), clock)).toBe(patience_ms);
  expect(versions.wait_ms("owner", cacheOf(object("10")), clock)).toBeUndefined();
});

test("an object that somebody deleted after it was written is not waited for", () => {
  const versions = new WrittenVersions();
  versions.wrote("owner", object("9"));
  versions.told(object("8"));
  expect(versions.wait_ms("owner", cacheOf(), clock)).toBe(patience_ms);
  versions.told(object("10"));
  expect(versions.wait_ms("owner", cacheOf(), clock)).toBeUndefined();
});

test("nor is one of whose end the cache told before the write was answered", () => {
  const versions = new WrittenVersions();
  versions.told(object("10"));
  versions.wrote("owner", object("9"));
  expect(versions.wait_ms("owner", cacheOf(), clock)).toBeUndefined();
});

test("one of whose end nothing is ever told is waited for no longer than other things that are expected", async () => {
  const clock = new ManualClock();
  const versions = new WrittenVersions();
  versions.wrote("owner", object("9"));
  await clock.advance(patience_ms);
  // From when it was missed first.
  expect(versions.wait_ms("owner", cacheOf(), clock)).toBe(patience_ms);
  await clock.advance(1_000);
  expect(versions.wait_ms("owner", cacheOf(), clock)).toBe(patience_ms - 1_000);
  await clock.advance(patience_ms - 1_000);
  expect(versions.wait_ms("owner", cacheOf(), clock)).toBeUndefined();
  // Nor is it asked for again.
  expect(versions.wait_ms("owner", cacheOf(), clock)).toBeUndefined();
});
