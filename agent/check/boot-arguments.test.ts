import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BootArgumentsError, backupOf, switchOnMemoryCgroup, withMemoryCgroup } from "./boot-arguments.ts";

const folder = mkdtempSync(join(tmpdir(), "boot-arguments-"));
afterAll(() => rmSync(folder, { recursive: true }));
const pi = "console=serial0,115200 console=tty1 root=PARTUUID=4c4e106f-02 rootfstype=ext4 fsck.repair=yes rootwait";
const on = "cgroup_enable=memory cgroup_memory=1";

describe("the one line of boot arguments", () => {
  test.each([
    ["as Raspberry Pi OS has it", `${pi}\n`, `${pi} ${on}\n`],
    ["without a line's end", pi, `${pi} ${on}\n`],
    ["with blanks and empty lines behind it", `${pi}  \n\n`, `${pi} ${on}\n`],
    ["with one of the words", `${pi} cgroup_memory=1\n`, `${pi} cgroup_memory=1 cgroup_enable=memory\n`],
    ["that switches it off", `cgroup_disable=memory ${pi} cgroup_memory=0\n`, `${pi} ${on}\n`],
    ["that has them", `${on} ${pi}\n`, `${on} ${pi}\n`],
  ])("%s", (_, before, after) => expect(withMemoryCgroup(before)).toBe(after));

  test.each([
    ["two lines", `${pi}\nquiet\n`],
    ["nothing", "\n"],
  ])("with %s is a person's to look at", (_, text) => expect(() => withMemoryCgroup(text)).toThrow(BootArgumentsError));
});

test("the file is replaced as a whole, once, and its first state is kept", async () => {
  const path = join(folder, "cmdline.txt");
  writeFileSync(path, `${pi}\n`);
  expect(await switchOnMemoryCgroup(path)).toBe(true);
  expect(readFileSync(path, "utf8")).toBe(`${pi} ${on}\n`);
  expect(await switchOnMemoryCgroup(path)).toBe(false);
  writeFileSync(path, `${pi} quiet\n`);
  expect(await switchOnMemoryCgroup(path)).toBe(true);
  expect(readFileSync(backupOf(path), "utf8")).toBe(`${pi}\n`);
  expect(readdirSync(folder).sort()).toEqual(["cmdline.txt", "cmdline.txt.before-bramble"]);
});
