import { afterEach, beforeEach, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { queryStore, serveStoreAdmin } from "./admin.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { openMemoryStore } from "./testing/memory-store.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bramble-admin-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("the same values from a running master and from its file", async () => {
  const files = {
    socketPath: join(folder, "admin.sock"),
    path: join(folder, "state.db"),
    encryption: { keyFile: join(folder, "key"), prefixes: ["/registry/secrets/"] },
  };
  const keys = async (key: string, prefix: boolean): Promise<string[]> => {
    const found: string[] = [];
    for await (const value of queryStore(files, { key, prefix })) found.push(`${value.key} ${value.value}`);
    return found;
  };
  expect(await keys("/registry/", true).catch((error: Error) => error.message)).toContain("no master runs here");
  const store = await openSqliteStore({ path: files.path, encryption: files.encryption });
  const admin = await serveStoreAdmin(store, files.socketPath);
  expect(statSync(files.socketPath).mode & 0o777).toBe(0o600);
  await store.create("/registry/secrets/a/s", '{"secret":1}');
  await store.create("/registry/pods/a/p", '{"pod":1}');
  await store.create("/registry/events/a/e", '{"event":1}');
  const all = [
    '/registry/events/a/e {"event":1}',
    '/registry/pods/a/p {"pod":1}',
    '/registry/secrets/a/s {"secret":1}',
  ];
  expect(await keys("/registry/", true)).toEqual(all);
  expect(await keys("/registry/pods/a/p", false)).toEqual([all[1] ?? ""]);
  expect(await keys("/registry/pods/a/none", false)).toEqual([]);
  await admin.stop();
  await store.close();
  expect(await keys("/registry/", true)).toEqual(all);
});

test("a client that reads no further holds up no end", async () => {
  const socketPath = join(folder, "admin.sock");
  const store = openMemoryStore();
  for (const name of ["a", "b"]) await store.create(`/registry/${name}`, "x".repeat(4_000_000));
  const admin = await serveStoreAdmin(store, socketPath);
  const client = connect(socketPath);
  client.on("error", () => undefined);
  client.write(`${JSON.stringify({ key: "/registry/", prefix: true })}\n`);
  await once(client, "readable");
  await admin.stop();
  await store.close();
  client.destroy();
});
