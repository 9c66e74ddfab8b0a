import { expect, test } from "bun:test";
import { GatheredBytes } from "./gathered-bytes.ts";

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString("latin1");

test("what came in one piece is given back as it is", () => {
  const gathered = new GatheredBytes();
  const piece = Buffer.from("abc");
  gathered.push(piece);
  expect(gathered.takeAll()).toBe(piece);
  expect(gathered.takeAll()).toHaveLength(0);
});

test("pieces of any length come out in their order, short ones together", () => {
  const gathered = new GatheredBytes();
  const lengths = [3, 0, 1, 1, 5000, 1, 1023, 1024, 1, 30_000, ...Array.from({ length: 40_000 }, () => 1), 2000, 1];
  let written = "";
  for (const [index, length] of lengths.entries()) {
    const piece = String.fromCharCode(97 + (index % 26)).repeat(length);
    written += piece;
    gathered.push(Buffer.from(piece));
  }
  expect(gathered.length).toBe(written.length);
  let read = "";
  let pieces = 0;
  for (let piece = gathered.shift(); piece; piece = gathered.shift()) {
    read += text(piece);
    pieces += 1;
  }
  expect(read).toBe(written);
  expect(pieces).toBeLessThan(20);
  expect(gathered.length).toBe(0);
});

test("pieces may be taken out between those that are put in", () => {
  const gathered = new GatheredBytes();
  gathered.push(Buffer.from("a"));
  gathered.push(Buffer.from("b"));
  expect(text(gathered.shift())).toBe("a");
  gathered.push(Buffer.from("c"));
  expect(text(gathered.shift())).toBe("bc");
  gathered.push(Buffer.from("d"));
  gathered.push(Buffer.from("e"));
  expect(text(gathered.takeAll())).toBe("de");
  expect(gathered.shift()).toBeUndefined();
});
