import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { freePort } from "./free-port.ts";

test("ports are given once, and none where somebody listens", async () => {
  const one = await freePort();
  const holder = createServer();
  // Where somebody else has that port by now, it serves as well.
  await new Promise<void>((resolve) => holder.once("error", () => resolve()).listen(one + 1, "127.0.0.1", resolve));
  const given = [one];
  while (given.length < 50) given.push(await freePort());
  holder.close();
  expect(new Set(given).size).toBe(50);
  expect(given).not.toContain(one + 1);
});
