import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KubeObject } from "#shared/api/object.ts";
import { silentLog } from "#shared/client/log.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import { CacheFiles } from "./cache-files.ts";
import { Seal } from "./seal.ts";

const name = "|v1|services|||";

function service(id: string, resourceVersion = "1", more: object = {}): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: id, namespace: "default", uid: id, resourceVersion },
    ...more,
  };
}

describe("caches on the card", () => {
  let folder: string;
  let keyFile: string;
  let clock: ManualClock;
  let root: string;
  const open = async (cluster = "home"): Promise<CacheFiles> =>
    new CacheFiles({ folder, seal: await Seal.open(keyFile, cluster), log: silentLog, keeps: () => true, clock });
  const path = (): string =>
    join(folder, (existsSync(folder) ? readdirSync(folder) : []).find((file) => file.endsWith(".sealed")) ?? "");
  /** The file is replaced at each write. */
  const inode = (): number => statSync(path()).ino;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "bramble-cache-files-"));
    folder = join(root, "caches");
    keyFile = join(root, "identity", "checkpoint.key");
    clock = new ManualClock();
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const keep = async (...objects: KubeObject[]): Promise<CacheFiles> => {
    const files = await open();
    files.changed(name, () => objects);
    await files.stop();
    return files;
  };

  test("come back as they were, without what the server alone means by them", async () => {
    const managedFields = [{ manager: "kubectl" }];
    await keep(service("b"), { ...service("a"), metadata: { ...service("a").metadata, managedFields } });
    const objects = await (await open()).load(name);
    expect(objects?.map(({ metadata }) => metadata)).toEqual([
      { name: "a", namespace: "default", uid: "a" },
      { name: "b", namespace: "default", uid: "b" },
    ]);
  });

  test("are not there before the first write, not under another name and not in another cluster", async () => {
    expect(await (await open()).load(name)).toBeUndefined();
    await keep(service("a"));
    expect(await (await open()).load("|v1|secrets|||")).toBeUndefined();
    expect(await (await open("another")).load(name)).toBeUndefined();
  });

  test("are read by nobody without the board's key", async () => {
    await keep(service("a", "1", { data: { password: "hunter2" } }));
    expect(readFileSync(path()).includes("hunter2")).toBe(false);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    writeFileSync(keyFile, "broken");
    expect(await (await open()).load(name)).toBeUndefined();
    // And the board goes on with a new one.
    await keep(service("b"));
    expect(await (await open()).load(name)).toHaveLength(1);
  });

  test.each(["cut short", "a bit turned", "empty"])("count as none when they are broken: %s", async (how) => {
    await keep(service("a"));
    const whole = readFileSync(path());
    if (how === "cut short") writeFileSync(path(), whole.subarray(0, whole.length / 2));
    else if (how === "empty") writeFileSync(path(), "");
    else writeFileSync(path(), whole.with(whole.length >> 1, (whole[whole.length >> 1] ?? 0) ^ 1));
    expect(await (await open()).load(name)).toBeUndefined();
  });

  test("are written at once where there is nothing yet, each; what is there of others stays", async () => {
    await keep(service("a"));
    const files = await open();
    const slices = "discovery.k8s.io|v1|endpointslices|||";
    files.changed(slices, () => [service("slice")]);
    // A power cut: no time passes, and nothing is told to stop.
    await files.flushed();
    expect(await (await open()).load(slices)).toHaveLength(1);
    expect(await (await open()).load(name)).toHaveLength(1);
    files.changed(slices, () => [service("slice"), service("another")]);
    await files.flushed();
    expect(await (await open()).load(slices)).toHaveLength(1);
    await clock.advance(3_000);
    await files.flushed();
    expect(await (await open()).load(slices)).toHaveLength(2);
  });

  test("are written when what matters has changed, and not before the changes have come to rest", async () => {
    const files = await open();
    let objects = [service("a")];
    const change = async (next: KubeObject[], after_ms: number): Promise<void> => {
      objects = next;
      files.changed(name, () => objects);
      await clock.advance(after_ms);
    };
    await change([service("a")], 0);
    await files.flushed();
    await change([service("a"), service("c")], 1_000);
    await files.flushed();
    expect(await (await open()).load(name)).toHaveLength(1);
    await change([service("a"), service("b")], 10_000);
    // The write itself goes on in the file system's time.
    while ((await (await open()).load(name))?.length !== 2) await Bun.sleep(5);
    const first = inode();
    // The same but for what the server counts.
    await change([service("a", "7"), service("b", "8")], 100_000);
    const node = { type: "Ready", status: "True", lastHeartbeatTime: "2026-01-01T00:00:00Z" };
    expect(inode()).toBe(first);
    await change([service("a", "9", { status: { conditions: [node] } })], 100_000);
    while (inode() === first) await Bun.sleep(5);
    const second = inode();
    const later = { ...node, lastHeartbeatTime: "2026-01-01T00:05:00Z" };
    await change([service("a", "10", { status: { conditions: [later] } })], 100_000);
    await files.stop();
    expect(inode()).toBe(second);
  });

  test("are written once the card takes them, though nothing changes any more", async () => {
    // What stands in the way is no folder.
    writeFileSync(folder, "");
    const { lines, log } = notedLog();
    const files = new CacheFiles({ folder, seal: await Seal.open(keyFile, "home"), log, keeps: () => true, clock });
    files.changed(name, () => [service("a")]);
    await files.flushed();
    for (let minute = 0; minute < 5; minute++) {
      await clock.advance(60_000);
      await files.flushed();
    }
    expect(lines.filter((line) => line.includes("cannot be written"))).toHaveLength(1);
    rmSync(folder);
    await clock.advance(60_000);
    await files.flushed();
    expect(await (await open()).load(name)).toHaveLength(1);
    expect(clock.waiting).toBe(0);
  });

  test("are written at a bounded rate, however often they change", async () => {
    const files = await open();
    let writes = 0;
    let last = 0n;
    for (let second = 0; second < 3_600; second += 4) {
      files.changed(name, () => [service("a", "1", { spec: { second } })]);
      await clock.advance(4_000);
      await files.flushed();
      const written = existsSync(path()) ? statSync(path(), { bigint: true }).mtimeNs : 0n;
      if (written !== last) writes++;
      last = written;
    }
    await files.stop();
    // Two megabytes at first, 0.9 MB in the hour, at 16 kB and a little for each, of 900 changes.
    expect(writes).toBeGreaterThan(100);
    expect(writes).toBeLessThan(190);
  });

  test("what an unknown version or a power cut left is swept", async () => {
    await keep(service("a"));
    writeFileSync(join(folder, ".0123.tmp"), "half");
    writeFileSync(join(folder, "old-form.sealed"), "x");
    clock = new ManualClock(Date.now() + 3_600_000);
    const files = await open();
    await clock.advance(60_000);
    files.changed(name, () => [service("b")]);
    await files.stop();
    expect(readdirSync(folder)).toHaveLength(1);
  });
});
