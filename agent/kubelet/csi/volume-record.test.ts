import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CsiFolders, type PodVolumeRecord } from "./volume-record.ts";

const record: PodVolumeRecord = {
  podUid: "u",
  block: false,
  specVolID: "v",
  volumeHandle: "handle",
  driverName: "disk.example.com",
  nodeName: "a",
  attachmentID: "",
  volumeLifecycleMode: "Persistent",
};

describe("the record of a volume", () => {
  let card: string;
  beforeEach(() => {
    card = mkdtempSync(join(tmpdir(), "brt-records-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", card]);
  });
  afterEach(() => {
    execFileSync("umount", ["--lazy", card]);
    rmSync(card, { recursive: true });
  });

  const found = async (): Promise<PodVolumeRecord[]> =>
    new CsiFolders(card).podVolumes((path, error) => {
      throw new Error(`${path} is broken: ${error}`);
    });

  test("stays whole when the card is full as another is written in its place", async () => {
    const folders = new CsiFolders(card);
    await folders.keepPodVolume(record);
    expect(() => writeFileSync(join(card, "filler"), Buffer.alloc(128 * 1024))).toThrow("ENOSPC");
    const other = { ...record, attachmentID: "csi-".repeat(2_000) };
    await expect(folders.keepPodVolume(other)).rejects.toThrow("ENOSPC");
    expect(await found()).toEqual([record]);
    rmSync(join(card, "filler"));
    await folders.keepPodVolume(other);
    expect(await found()).toEqual([other]);
  });

  test("leaves nothing behind, a half written one neither", async () => {
    const folders = new CsiFolders(card);
    await folders.keepPodVolume(record);
    const folder = folders.podVolume("u", "v", false);
    writeFileSync(join(folder, "vol_data.json.new"), "{");
    expect(await found()).toEqual([record]);
    await folders.forgetPodVolume(record);
    expect(existsSync(folder)).toBe(false);
  });
});
