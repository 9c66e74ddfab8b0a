import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import type { Lister } from "./store-index.ts";
import { WrittenVersions } from "./written-versions.ts";

const object = (resourceVersion: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "n", name: "a", resourceVersion },
});
const cacheOf = (present?: KubeObject): Lister<KubeObject> =>
  ({ get: (key: string) => (key === "n/a" ? present : undefined) }) as Lister<KubeObject>;

test("a write is waited for until the cache shows it or something newer", () => {
  const versions = new WrittenVersions();
  versions.wrote("owner", object("9"));
  expect(versions.seen("owner", cacheOf())).toBe(false);
  expect(versions.seen("owner", cacheOf(object("8")))).toBe(false);
  expect(versions.seen("owner", cacheOf(object("10")))).toBe(true);
});

test("an object that somebody deleted after it was written is not waited for", () => {
  const versions = new WrittenVersions();
  versions.wrote("owner", object("9"));
  versions.told(object("8"));
  expect(versions.seen("owner", cacheOf())).toBe(false);
  versions.told(object("10"));
  expect(versions.seen("owner", cacheOf())).toBe(true);
});

test("nor is one of whose end the cache told before the write was answered", () => {
  const versions = new WrittenVersions();
  versions.told(object("10"));
  versions.wrote("owner", object("9"));
  expect(versions.seen("owner", cacheOf())).toBe(true);
});
