import { afterEach, expect, test } from "bun:test";
import { boundCaches, cacheBounds } from "#shared/process/cache-bounds.ts";
import { Entry } from "./entry.ts";
import { LooseTexts, Packer } from "./packed-text.ts";

afterEach(() => void boundCaches("off"));

const textOf = (name: string, note: string, head = '"apiVersion":"v1","kind":"Pod"'): string =>
  `{${head},"metadata":{"name":"${name}"},"spec":{"containers":[${`{"image":"i","args":["a","b"]},`.repeat(20)}{}]},"big":9007199254740993,"note":"${note}"}`;

const entryOf = (stored: string): Entry => new Entry("a/x", 7, stored, { labels: undefined, fields: {} }, undefined);

test("a packed text reads as it was written", () => {
  const packer = new Packer();
  entryOf(textOf("sample", "")).pack(packer);
  for (const note of ["", "größer", "中文 🍓", "\\u0000", "x".repeat(300_000)]) {
    const stored = textOf("x", note);
    const [loose, packed] = [entryOf(stored), entryOf(stored)];
    packed.pack(packer);
    expect(packed.stored).toBe(stored);
    expect(packed.size).toBe(loose.size);
    expect(packed.text()).toBe(loose.text());
    expect(packed.bareText()).toBe(loose.bareText());
    expect(JSON.stringify(packed.view())).toBe(JSON.stringify(loose.view()));
    expect(packed.at(9).text()).toBe(loose.at(9).text());
  }
});

test("what an object is told by is known of a packed one too, and of one of another version", () => {
  const packer = new Packer();
  const old = textOf("old", "", '"apiVersion":"v1beta1","kind":"Pod"');
  const entries = [textOf("sample", ""), textOf("x", ""), old].map(entryOf);
  for (const entry of entries) entry.pack(packer);
  expect(entries.map((entry) => entry.hasHead('{"apiVersion":"v1","kind":"Pod",'))).toEqual([true, true, false]);
  expect(entries[2]?.hasHead('{"apiVersion":"v1beta1","kind":"Pod",')).toBe(true);
  expect(entries[2]?.stored).toBe(old);
});

test("many texts go by one sample after another", () => {
  const packer = new Packer();
  const texts = Array.from({ length: 9_000 }, (_, index) => textOf(`name-${index}`, `${index}`.repeat(5)));
  const entries = texts.map(entryOf);
  for (const entry of entries) entry.pack(packer);
  for (const [index, entry] of entries.entries()) expect(entry.stored).toBe(texts[index] as string);
});

test("the texts that were written last stay as they are, and those that are gone do not count", () => {
  boundCaches("on");
  const size = cacheBounds().looseText / 4;
  const packed: string[] = [];
  const loose = new LooseTexts();
  const packer = new Packer();
  const texts = Object.fromEntries([..."abcdefg"].map((name) => [name, { size, pack: () => void packed.push(name) }]));
  const add = (names: string): void => {
    for (const name of names) loose.add(texts[name] as { size: number; pack(): void }, packer);
  };
  const leave = (name: string): void => loose.leave(texts[name] as { size: number; pack(): void });
  add("abcd");
  expect(packed).toEqual([]);
  add("e");
  expect(packed).toEqual(["a"]);
  leave("a");
  leave("c");
  add("f");
  expect(packed).toEqual(["a"]);
  add("g");
  expect(packed).toEqual(["a", "b"]);
});
