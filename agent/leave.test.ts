import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leave } from "./leave.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-leave-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a board that is in no cluster is told so, and not how to join one", async () => {
  const leaving = leave({ dataDir: folder, runDir: folder, servers: [], timeout_s: 1, program: "worker" });
  expect(await leaving.catch((error: Error) => [error.name, error.message])).toEqual([
    "UserError",
    `this board is in no cluster: ${folder}/agent/identity holds no identity. Run this as root, on the board itself`,
  ]);
});
