import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linuxHost } from "#agent/host/linux-host.ts";
import { silentLog } from "#shared/client/log.ts";
import { prepareVolatileFolder } from "./volatile-folder.ts";

const host = linuxHost();
let run = "";
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), "brt-volatile-"));
});
afterEach(() => {
  host.unmountTree(run, { lazy: true });
  rmSync(run, { recursive: true });
});

describe.skipIf(process.getuid?.() !== 0)("the folder of what pods are shown", () => {
  const folder = (): string => join(run, "bramble/pods");

  test("is a file system in memory of its own, also where the one around it is in memory", async () => {
    host.mountTmpfs(run, {});
    expect(await prepareVolatileFolder(host, folder(), silentLog)).toBe(folder());
    expect(host.isMountPoint(folder())).toBe(true);
    expect(statSync(folder()).mode & 0o7777).toBe(0o750);
    await prepareVolatileFolder(host, folder(), silentLog);
    expect(host.mounts().filter(({ path }) => path === folder())).toHaveLength(1);
  });

  test("stays as it is where pods have files in it", async () => {
    host.mountTmpfs(run, {});
    mkdirSync(folder(), { recursive: true });
    writeFileSync(join(folder(), "uid"), "");
    await prepareVolatileFolder(host, folder(), silentLog);
    expect(host.isMountPoint(folder())).toBe(false);
  });
});
