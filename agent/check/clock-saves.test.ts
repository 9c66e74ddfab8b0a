import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { judgeClockSaves, probeClockSaves } from "./clock-saves.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "clock-saves-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

test("where no timesyncd runs, nothing is said", async () => {
  expect(await probeClockSaves(root)).toBeUndefined();
});

test("its own settings: each minute, which is told", async () => {
  mkdirSync(join(root, "run/systemd/timesync"), { recursive: true });
  write("etc/systemd/timesyncd.conf", "[Time]\n#SaveIntervalSec=60\n");
  const saves = (await probeClockSaves(root)) ?? "?";
  expect(judgeClockSaves(saves)).toMatchObject({
    level: "note",
    mend: expect.stringContaining("INSTALL_BRAMBLE_CLOCK_SAVE"),
  });
});

test("what install.sh writes is taken for what it is", async () => {
  mkdirSync(join(root, "run/systemd/timesync"), { recursive: true });
  write(
    "etc/systemd/timesyncd.conf.d/50-bramble.conf",
    "# bramble-uninstall.sh removes this file.\n[Time]\nSaveIntervalSec=1h\n",
  );
  expect(judgeClockSaves((await probeClockSaves(root)) ?? "")).toEqual({
    level: "ok",
    subject: "clock file",
    finding: "systemd-timesyncd notes the time each 1h",
  });
});
