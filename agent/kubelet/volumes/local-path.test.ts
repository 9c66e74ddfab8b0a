import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPathFinalizer, localPathProvisionerName } from "#shared/api/local-path.ts";
import type { ControllerContext } from "#shared/client/controller.ts";
import { localPathFolders } from "./local-path.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "local-path-"));
});
afterEach(() => rmSync(root, { recursive: true }));

test("a folder is removed once, and said so once, however long the volume takes to go", async () => {
  const path = join(root, "pv_default_c");
  mkdirSync(path);
  const volume = {
    metadata: {
      name: "pv",
      deletionTimestamp: "2026-01-01T00:00:00Z",
      annotations: { "pv.kubernetes.io/provisioned-by": localPathProvisionerName },
      finalizers: [localPathFinalizer],
    },
    spec: { persistentVolumeReclaimPolicy: "Delete", local: { path } },
    status: { phase: "Released" },
  };
  const said: string[] = [];
  const patched: unknown[] = [];
  const context = {
    lister: () => ({ get: () => volume }),
    client: { patch: async (...patch: unknown[]) => void patched.push(patch) },
    log: { info: (message: string) => void said.push(message) },
  } as unknown as ControllerContext;
  const controller = localPathFolders("a");
  await controller.reconcile("pv", context);
  await controller.reconcile("pv", context);
  expect(existsSync(path)).toBe(false);
  expect(said).toEqual(["the folder of a deleted volume is removed"]);
  expect(patched).toHaveLength(2);
});
