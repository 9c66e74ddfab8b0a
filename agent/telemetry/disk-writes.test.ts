import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseLife, readDiskWrites } from "./disk-writes.ts";

describe("what is written to a board's card", () => {
  const sys = mkdtempSync(join(tmpdir(), "bramble-sys-"));
  afterAll(() => rmSync(sys, { recursive: true }));

  test("is counted for the whole card behind a partition, with what the card says of its life", async () => {
    const card = join(sys, "devices/mmcblk0");
    mkdirSync(join(card, "mmcblk0p2"), { recursive: true });
    mkdirSync(join(card, "device"));
    mkdirSync(join(sys, "dev/block"), { recursive: true });
    writeFileSync(join(card, "stat"), "  100 0 2000 5 300 0 4096 9 0 1 1\n");
    writeFileSync(join(card, "size"), "62333952\n");
    writeFileSync(join(card, "device/life_time"), "0x01 0x03\n");
    writeFileSync(join(card, "device/pre_eol_info"), "0x01\n");
    writeFileSync(join(card, "mmcblk0p2/partition"), "2\n");
    const { dev } = statSync(sys);
    const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
    symlinkSync(join(card, "mmcblk0p2"), join(sys, "dev/block", `${major}:${minor}`));
    const { device, own_bytes, ownFor_s } = await readDiskWrites(sys, sys);
    expect(device).toMatchObject({
      name: "mmcblk0",
      written_bytes: 4096 * 512,
      size_bytes: 62333952 * 512,
      lifeUsed_percent: 30,
      isWornOut: false,
    });
    expect(own_bytes).toBeGreaterThanOrEqual(0);
    expect(ownFor_s).toBeGreaterThan(0);
  });

  test("is not told where no device is behind the folder", async () => {
    expect((await readDiskWrites(sys, join(sys, "nothing"))).device).toBeUndefined();
  });

  test.each([
    [undefined, undefined, undefined, undefined],
    ["0x00 0x00", "0x00", undefined, undefined],
    ["0x0b 0x01", "0x02", 100, true],
    ["0x02", "0x03", 20, true],
    ["?", "", undefined, undefined],
  ])("life %s and reserve %s", (life, reserve, lifeUsed_percent, isWornOut) => {
    expect(parseLife(life, reserve)).toEqual({ lifeUsed_percent, isWornOut });
  });
});
