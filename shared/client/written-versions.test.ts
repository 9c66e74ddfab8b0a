import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { configMaps, secrets } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { patience_ms } from "./expectations.ts";
import type { Lister } from "./store-index.ts";
import { WrittenVersions } from "./written-versions.ts";

const object = (resourceVersion: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "n", name: "a", resourceVersion },
});

/** What is written to ConfigMaps, and a cache of them. */
class Caching {
  readonly clock = new ManualClock();
  readonly written = new WrittenVersions(this.clock);
  /** What the cache shows. */
  present: KubeObject | undefined;
  readonly progress = this.written.follow(configMaps, {
    get: (key: string) => (key === "n/a" ? this.present : undefined),
  } as Lister<ConfigMap>);

  wait_ms(): number | undefined {
    return this.written.wait_ms("owner");
  }

  wrote(version: string): void {
    this.written.wrote("owner", configMaps, object(version));
  }
}

test("a write is waited for until the cache shows it or something newer", () => {
  const cache = new Caching();
  cache.wrote("9");
  expect(cache.wait_ms()).toBe(patience_ms);
  cache.present = object("8");
  expect(cache.wait_ms()).toBe(patience_ms);
  cache.present = object("10");
  expect(cache.wait_ms()).toBeUndefined();
});

test("what was deleted is waited for until the cache shows it no more, or on its way out", () => {
  const cache = new Caching();
  cache.present = object("9");
  cache.written.deleted("owner", configMaps, "n/a");
  expect(cache.wait_ms()).toBe(patience_ms);
  cache.present = { ...object("9"), metadata: { ...object("9").metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  expect(cache.wait_ms()).toBeUndefined();
});

test("an object that somebody deleted after it was written is not waited for", () => {
  const cache = new Caching();
  cache.wrote("9");
  cache.progress.told(object("8"));
  expect(cache.wait_ms()).toBe(patience_ms);
  cache.progress.told(object("10"));
  expect(cache.wait_ms()).toBeUndefined();
});

test("nor is one of whose end the cache told before the write was answered", () => {
  const cache = new Caching();
  cache.progress.told(object("10"));
  cache.wrote("9");
  expect(cache.wait_ms()).toBeUndefined();
});

test("one of whose end nothing is ever told is waited for no longer than other things that are expected", async () => {
  const cache = new Caching();
  cache.wrote("9");
  await cache.clock.advance(patience_ms);
  // From when it was missed first.
  expect(cache.wait_ms()).toBe(patience_ms);
  await cache.clock.advance(1_000);
  expect(cache.wait_ms()).toBe(patience_ms - 1_000);
  await cache.clock.advance(patience_ms - 1_000);
  expect(cache.wait_ms()).toBeUndefined();
  // Nor is it asked for again.
  expect(cache.wait_ms()).toBeUndefined();
});

test("one resource's cache says nothing of another's", () => {
  const cache = new Caching();
  const progress = cache.written.follow(secrets, { get: () => undefined } as unknown as Lister<KubeObject>);
  cache.wrote("9");
  progress.told(object("10"));
  expect(cache.wait_ms()).toBe(patience_ms);
  cache.progress.told(object("9"));
  expect(cache.wait_ms()).toBeUndefined();
});

test("a write that no cache would ever show is a mistake", () => {
  expect(() => new WrittenVersions().wrote("owner", configMaps, object("9"))).toThrow("configmaps");
});
