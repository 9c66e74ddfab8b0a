import { expect, test } from "bun:test";
import { crc32, gunzipSync } from "node:zlib";
import type { CachedObject } from "../request.ts";
import { crc32Combine } from "./crc32-combine.ts";
import { gzipOfList, PieceCache } from "./shared-gzip.ts";

let texts = 0;

function object(name: string, revision: number, extra = ""): CachedObject {
  const text = JSON.stringify({
    metadata: { name, resourceVersion: String(revision) },
    data: { text: `größer${extra}` },
  });
  const view = JSON.parse(text);
  return {
    key: name,
    revision,
    view: () => view,
    text() {
      texts += 1;
      return text;
    },
    bareText: () => text,
  };
}

async function listed(cache: PieceCache, items: readonly CachedObject[]): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of gzipOfList(cache, '{"items":[', { items, textOf: (item) => item.text() }, "]}"))
    parts.push(part);
  return gunzipSync(Buffer.concat(parts)).toString();
}

const plain = (items: readonly CachedObject[]): string => `{"items":[${items.map((item) => item.text()).join(",")}]}`;

test("a checksum of two texts follows from those of each", () => {
  for (const [first, second] of [
    ["", ""],
    ["a", ""],
    ["", "b"],
    ["hello ", "world".repeat(12345)],
  ] as const) {
    const whole = crc32(Buffer.from(first + second));
    expect(crc32Combine(crc32(Buffer.from(first)), crc32(Buffer.from(second)), second.length)).toBe(whole);
  }
});

test("a list is one gzip stream of the whole text, whatever changes between two lists", async () => {
  const cache = new PieceCache();
  let items = Array.from({ length: 700 }, (_, index) => object(`name-${index}`, index + 1, "x".repeat(index)));
  expect(await listed(cache, items)).toBe(plain(items));
  items = items.map((item, index) => (index % 97 === 0 ? object(item.key, 10_000 + index) : item));
  expect(await listed(cache, items)).toBe(plain(items));
  items = items.filter((_, index) => index % 13 !== 0);
  items.splice(50, 0, object("between", 20_000));
  expect(await listed(cache, items)).toBe(plain(items));
  expect(await listed(cache, items.slice(3))).toBe(plain(items.slice(3)));
  expect(await listed(cache, [])).toBe(plain([]));
});

test("what has not changed is not read again", async () => {
  const cache = new PieceCache();
  const items = Array.from({ length: 500 }, (_, index) => object(`name-${index}`, index + 1));
  await listed(cache, items);
  texts = 0;
  await listed(cache, items);
  expect(texts).toBe(0);
  items[250] = object("name-250", 999);
  await listed(cache, items);
  expect(texts).toBeGreaterThan(0);
  expect(texts).toBeLessThanOrEqual(128);
});

test("lists at the same time share the work, and one larger than the cache is whole", async () => {
  const cache = new PieceCache();
  const noise = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(48_000))).toString("base64");
  const items = Array.from({ length: 160 }, (_, index) => object(`name-${index}`, index + 1, noise()));
  texts = 0;
  const [first, second] = await Promise.all([listed(cache, items), listed(cache, items)]);
  expect(texts).toBe(items.length);
  expect(first).toBe(plain(items));
  expect(second).toBe(first);
});
