import { expect, test } from "bun:test";
import { totalmem } from "node:os";
import { readUsage } from "./usage.ts";

test("this machine's usage adds up", async () => {
  const usage = await readUsage("/var/lib");
  expect(usage.cpu_ns).toBeGreaterThan(0);
  expect(usage.memoryUsed_bytes).toBeGreaterThan(0);
  expect(usage.memoryUsed_bytes + usage.memoryAvailable_bytes).toBeLessThanOrEqual(totalmem());
  expect(usage.filesystem.capacity_bytes).toBeGreaterThan(usage.filesystem.used_bytes);
});
