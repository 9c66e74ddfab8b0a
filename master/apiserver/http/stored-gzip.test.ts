import { expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { storedGzip } from "./stored-gzip.ts";

async function unpacked(texts: readonly string[]): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of storedGzip(texts)) parts.push(part);
  return gunzipSync(Buffer.concat(parts)).toString();
}

test("any gunzip reads it, whatever the sizes of its pieces", async () => {
  const block = 0xffff;
  for (const sizes of [[], [0], [1], [block], [block + 1], [block - 1, 2, 3 * block, 0, 5]]) {
    const texts = sizes.map((size, index) => String.fromCharCode(97 + index).repeat(size));
    expect(await unpacked(texts)).toBe(texts.join(""));
  }
});

test("lengths and checksum are those of bytes, not of characters", async () => {
  const texts = ["grün ", "🍓".repeat(40_000), " 中文"];
  expect(await unpacked(texts)).toBe(texts.join(""));
});
