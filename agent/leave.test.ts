import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leave, waitingText } from "./leave.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-leave-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a board that is in no cluster is told so, and not how to join one", async () => {
  const leaving = leave({ dataDir: folder, runDir: folder, servers: [], timeout_s: 1, program: "worker" });
  expect(await leaving.catch((error: Error) => [error.name, error.message])).toEqual([
    "UserError",
    `this board is in no cluster: ${folder}/agent/identity holds no identity. Run this as root, on the board itself`,
  ]);
});

test("what a board waits for is named, with what keeps it", () => {
  const budget = "Cannot evict pod as it would violate the pod's disruption budget.";
  expect(waitingText(["default/a", "default/b"], new Map([["default/a", budget]]))).toBe(
    `waiting for 2 pods to move: default/a (${budget}), default/b`,
  );
  expect(waitingText(["default/b"], new Map())).toBe("waiting for 1 pod to move: default/b");
});
