import { expect, test } from "bun:test";
import type { CachedObject, WatchFrame } from "../request.ts";
import { SharedLines } from "./shared-lines.ts";

const frameOf = (type: WatchFrame["type"], text: string, object?: object): WatchFrame => ({
  type,
  object: object as CachedObject | undefined,
  weight: 0,
  text: () => text,
  view: () => ({}),
});

test("a large line is one as long as any watch sends it, and kept no longer", () => {
  let encoded = 0;
  const lines = new SharedLines((frame) => {
    encoded += 1;
    return Buffer.from(`${frame.type} ${frame.text()}`);
  });
  const object = {};
  const frame = frameOf("ADDED", "x".repeat(100_000), object);
  const held = Array.from({ length: 5 }, () => lines.take(frame));
  expect(new Set(held).size).toBe(1);
  // As another watch sees it that begins to match.
  const other = frameOf("MODIFIED", "x".repeat(100_000), object);
  expect(String(lines.take(other).bytes)).toStartWith("MODIFIED");
  expect(encoded).toBe(2);
  for (const line of held) lines.leave(frame, line);
  lines.take(frame);
  expect(encoded).toBe(3);
});
