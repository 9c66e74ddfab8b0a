import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assertRoot, ensureOwnFolder } from "./own-folder.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-own-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a folder is made with its mode, and one that is there is left as it is", () => {
  const own = join(folder, "a/b");
  for (const _ of ["first", "again"]) ensureOwnFolder(own, "data-dir");
  expect(statSync(own).mode & 0o777).toBe(0o700);
});

test("one that cannot be is told with what to do", () => {
  writeFileSync(join(folder, "file"), "");
  const message = (path: string): string => {
    try {
      ensureOwnFolder(path, "data-dir");
      return "";
    } catch (error) {
      return `${(error as Error).name}: ${(error as Error).message}`;
    }
  };
  const other = "or name another folder with --data-dir";
  expect(message(join(folder, "file"))).toBe(`UserError: ${folder}/file is no folder: move that file away, ${other}`);
  expect(message(join(folder, "file/data"))).toStartWith(`UserError: ${folder}/file/data is below a file`);
});

test("who is not root is told so", () => {
  expect(() => assertRoot("a worker", 1000)).toThrow("a worker needs root: put sudo before the command");
  assertRoot("a worker", 0);
});
