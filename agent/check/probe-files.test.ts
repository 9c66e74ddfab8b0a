import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probeFilesOf } from "./probe-files.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-proc-"));
afterAll(() => rmSync(folder, { recursive: true }));

const card = "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw";
const run = "23 22 0:20 / /run rw shared:5 - tmpfs tmpfs rw,size=97M";
const tmp = "24 22 0:30 / /tmp rw shared:6 - tmpfs tmpfs rw";

function proc(name: string, environment: readonly string[], mounts: readonly string[], comm = "containerd"): string {
  const process = join(folder, name, "712");
  mkdirSync(process, { recursive: true });
  mkdirSync(join(folder, name, "self"));
  writeFileSync(join(process, "comm"), `${comm}\n`);
  writeFileSync(join(process, "environ"), environment.map((entry) => `${entry}\0`).join(""));
  writeFileSync(join(process, "mountinfo"), `${mounts.join("\n")}\n`);
  return join(folder, name);
}

test("the files are in /tmp, unless containerd's environment names another folder", async () => {
  const onCard = await probeFilesOf(proc("plain", ["PATH=/usr/bin"], [card, run]));
  expect(onCard).toEqual({ folder: "/tmp", isInMemory: false });
  const inMemory = await probeFilesOf(proc("trixie", ["PATH=/usr/bin"], [card, run, tmp]));
  expect(inMemory).toEqual({ folder: "/tmp", isInMemory: true });
  const moved = await probeFilesOf(proc("moved", ["TMPDIR=/var/tmp", "XDG_RUNTIME_DIR=/run"], [card, run]));
  expect(moved).toEqual({ folder: "/run", isInMemory: true });
  const other = await probeFilesOf(proc("tmpdir", ["TMPDIR=/var/tmp"], [card, run, tmp]));
  expect(other).toEqual({ folder: "/var/tmp", isInMemory: false });
});

test("without containerd nothing is said", async () => {
  expect(await probeFilesOf(proc("none", [], [card], "containerd-shim"))).toBeUndefined();
});
