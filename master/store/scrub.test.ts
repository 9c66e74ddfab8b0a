import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rewriteValues } from "./rewrite.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { Store } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-scrub-"));
afterAll(() => rmSync(folder, { recursive: true }));

const path = join(folder, "store", "store.db");
const encryption = { keyFile: join(folder, "encryption.key"), prefixes: ["/registry/a/"] };

/** Files of the store that show the text. */
const showing = (text: string): string[] =>
  readdirSync(join(folder, "store")).filter((name) => readFileSync(join(folder, "store", name)).includes(text));

const fill = "x".repeat(700);
const create = (store: Store, text: string) =>
  Promise.all(Array.from({ length: 50 }, (_, n) => store.create(`/registry/a/${n}`, `${text} ${n} ${fill}`)));

test("what rested in plain text is in no part of the store's files once it was written anew under a key", async () => {
  const plain = await openSqliteStore({ path });
  await create(plain, "hunter2");
  await plain.close();
  expect(showing("hunter2")).toEqual(["store.db"]);

  const sealed = await openSqliteStore({ path, encryption });
  expect(await rewriteValues(sealed, ["/registry/a/"])).toBe(50);
  expect(showing("hunter2")).toEqual([]);
  // It goes on as before.
  const before = (await sealed.list("/registry/a/")).items;
  expect(before.map(({ value }) => value).sort()).toEqual(
    Array.from({ length: 50 }, (_, n) => `hunter2 ${n} ${fill}`).sort(),
  );
  const revision = await sealed.create("/registry/b/one", "1");
  await sealed.close();
  expect(showing("hunter2")).toEqual([]);

  const again = await openSqliteStore({ path, encryption });
  expect((await again.list("/registry/a/")).items).toEqual(before);
  expect(await again.get("/registry/b/one")).toMatchObject({ value: "1", revision });
  await again.close();
});
