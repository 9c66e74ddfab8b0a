import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linuxHost } from "#agent/host/linux-host.ts";
import { silentLog } from "#shared/client/log.ts";
import { prepareAttempt, terminationLogPath, type WrittenFilesPlace, writtenFilesFolder } from "./written-files.ts";

let podFolder = "";
let place: WrittenFilesPlace;
beforeEach(() => {
  podFolder = mkdtempSync(join(tmpdir(), "brt-written-"));
  place = { host: linuxHost(), podFolder, log: silentLog };
});
afterEach(() => {
  linuxHost().unmountTree(podFolder, { lazy: true });
  rmSync(podFolder, { recursive: true });
});

describe.skipIf(process.getuid?.() !== 0)("what a pod may write beside its volumes", () => {
  const last = (attempt: number): string => terminationLogPath(podFolder, "c", attempt);
  const begin = async (attempt: number): Promise<void> => {
    await prepareAttempt(place, "c", attempt);
    writeFileSync(last(attempt), `${attempt}`);
  };

  test("has a bound of its own, and the folder around it is not touched", async () => {
    await Promise.all([begin(0), writtenFilesFolder(place)]);
    expect(() => writeFileSync(last(0), Buffer.alloc(16 * 1024 * 1024))).toThrow("ENOSPC");
    expect(
      linuxHost()
        .mounts()
        .filter(({ path }) => path.startsWith(podFolder)),
    ).toHaveLength(1);
  });

  test("leaves room for the next attempt, and the end of what was said last", async () => {
    await begin(0);
    expect(() => writeFileSync(last(0), Buffer.alloc(16 * 1024 * 1024))).toThrow("ENOSPC");
    writeFileSync(last(0), `${"x".repeat(1024 * 1024)}the end`);
    await begin(1);
    const kept = readFileSync(last(0), "utf8");
    expect([kept.length, kept.slice(-8)]).toEqual([4096, "xthe end"]);
    for (const attempt of [2, 3, 4]) await begin(attempt);
    expect([0, 1, 2, 3, 4].map((attempt) => existsSync(last(attempt)))).toEqual([false, true, true, true, true]);
  });

  test("of a pod that was there before, files stay where its containers have them", async () => {
    mkdirSync(join(podFolder, "containers/c/0"), { recursive: true });
    writeFileSync(last(0), "before");
    await begin(1);
    expect(readFileSync(last(0), "utf8")).toBe("before");
    expect(place.host.isMountPoint(join(podFolder, "containers"))).toBe(false);
  });
});
