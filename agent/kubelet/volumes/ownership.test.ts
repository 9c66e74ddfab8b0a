import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setGroupOwnership } from "./ownership.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ownership-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Puts a link in the place of what is there, and that back, again and again. */
const swapping = `
const { renameSync } = require("node:fs");
const [path, kept, link] = process.argv.slice(-3);
console.log("begun");
for (;;) { renameSync(path, kept); renameSync(link, path); renameSync(path, link); renameSync(kept, path); }`;

test.skipIf(process.getuid?.() !== 0)(
  "what a pod puts in the place of its files meanwhile is not followed",
  async () => {
    const volume = join(folder, "volume");
    const outside = join(folder, "outside");
    for (const path of [volume, outside]) mkdirSync(path);
    mkdirSync(join(volume, "a"));
    for (const path of [join(volume, "a", "f"), join(outside, "f")]) writeFileSync(path, "");
    chmodSync(join(outside, "f"), 0o600);
    symlinkSync(outside, join(volume, "link"));
    const swapper = Bun.spawn(["bun", "-e", swapping, join(volume, "a"), join(volume, "kept"), join(volume, "link")], {
      stdout: "pipe",
    });
    try {
      await swapper.stdout.getReader().read();
      for (let times = 0; times < 500; times += 1)
        await setGroupOwnership(volume, { fsGroup: 4321, readOnly: false, onlyOnRootMismatch: false });
    } finally {
      swapper.kill();
      await swapper.exited;
    }
    const { gid, mode } = statSync(join(outside, "f"));
    expect([gid, mode & 0o777, statSync(outside).gid]).toEqual([0, 0o600, 0]);
  },
);
