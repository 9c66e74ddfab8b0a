import { expect, test } from "bun:test";
import { connectionLimits, connectionsWithin } from "./connections.ts";

const MB = 1_000_000;

test("a small board has fewer connections, of which all together take a fifth of it", () => {
  expect(connectionsWithin(1000 * MB)).toBe(3814);
  expect(connectionsWithin(512 * MB)).toBe(1953);
  expect(connectionsWithin(24_000 * MB)).toBe(connectionLimits.connections);
});
