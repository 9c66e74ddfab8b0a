import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

test("a program on a read-only file system says that it cannot be replaced", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-program-"));
  try {
    const look = `
      const { InstalledProgram } = await import("./agent/upgrade/program.ts");
      console.log(new InstalledProgram("${folder}/bramble").obstacle);
    `;
    const readOnly = `mount --bind ${folder} ${folder} && mount -o remount,bind,ro ${folder} && exec "$@"`;
    const run = (...before: string[]): string =>
      Bun.spawnSync({ cmd: [...before, process.execPath, "--eval", look], cwd: join(import.meta.dir, "../..") })
        .stdout.toString()
        .trim();
    expect(run()).toBe("undefined");
    expect(run("unshare", "--mount", "sh", "-c", readOnly, "sh")).toStartWith(`${folder} cannot be written: EROFS`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
