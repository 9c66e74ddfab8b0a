import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DiskStep, readDiskLog, UnknownStepError } from "./disk-log.ts";
import { chanceOf, DiskModel, type Survival } from "./disk-model.ts";

const hex = (text: string): string =>
  [...Buffer.from(text)].map((b) => `\\x${b.toString(16).padStart(2, "0")}`).join("");

function imageAfter(steps: readonly DiskStep[], survival: Survival, seed = 1): Record<string, string> {
  const model = new DiskModel("/r");
  for (const step of steps) model.apply(step);
  const folder = mkdtempSync(join(tmpdir(), "disk-model-"));
  model.write(folder, survival, chanceOf(seed));
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const image = Object.fromEntries(
    names.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1), readFileSync(path, "utf8")];
    }),
  );
  rmSync(folder, { recursive: true });
  return image;
}

const write = (path: string, text: string, at = 0): DiskStep => ({ step: "write", path, at, data: Buffer.from(text) });

describe("a disk after a power cut", () => {
  test("has of a file what was synced, once its folder was synced too", () => {
    const made: DiskStep[] = [{ step: "create", path: "/r/a" }, write("/r/a", "one"), { step: "sync", path: "/r/a" }];
    expect(imageAfter(made, "nothing")).toEqual({});
    expect(imageAfter([...made, { step: "sync", path: "/r" }], "nothing")).toEqual({ a: "one" });
    expect(imageAfter([...made, { step: "sync", path: "/r" }, write("/r/a", "two")], "nothing")).toEqual({ a: "one" });
    expect(imageAfter(made, "all")).toEqual({ a: "one" });
  });

  test("has of a barrier what was written before it began, whatever another did meanwhile", () => {
    const steps: DiskStep[] = [
      { step: "create", path: "/r/a" },
      { step: "sync", path: "/r" },
      write("/r/a", "one"),
      { step: "sync begins", path: "/r/a", begun: 1 },
      write("/r/a", "two", 3),
      { step: "sync begins", path: "/r/a", begun: 2 },
      write("/r/a", "three", 6),
    ];
    const [first, second]: DiskStep[] = [1, 2].map((begun) => ({ step: "sync", path: "/r/a", begun }));
    if (!first || !second) throw new Error("no barriers");
    expect(imageAfter([...steps, first], "nothing")).toEqual({ a: "one" });
    expect(imageAfter([...steps, second], "nothing")).toEqual({ a: "onetwo" });
    expect(imageAfter([...steps, second, first], "nothing")).toEqual({ a: "onetwo" });
  });

  test("has an empty file when the name was synced and the content was not", () => {
    const steps: DiskStep[] = [{ step: "create", path: "/r/a" }, write("/r/a", "one"), { step: "sync", path: "/r" }];
    expect(imageAfter(steps, "nothing")).toEqual({ a: "" });
  });

  test("shows the old or the new name of a renamed file, never none", () => {
    const steps: DiskStep[] = [
      { step: "create", path: "/r/a" },
      write("/r/a", "old"),
      { step: "create", path: "/r/b" },
      write("/r/b", "new"),
      { step: "sync everything" },
      { step: "rename", from: "/r/b", to: "/r/a" },
    ];
    expect(imageAfter(steps, "nothing")).toEqual({ a: "old", b: "new" });
    expect(imageAfter(steps, "all")).toEqual({ a: "new" });
  });

  test("may lack any single write, and have a part of another", () => {
    const steps: DiskStep[] = [
      { step: "create", path: "/r/a" },
      { step: "sync", path: "/r" },
    ];
    for (let n = 0; n < 8; n++) steps.push(write("/r/a", String(n).repeat(1024), n * 1024));
    const seen = new Set(Array.from({ length: 200 }, (_, seed) => imageAfter(steps, "some", seed)["a"] ?? ""));
    expect([...seen].some((text) => text.includes("\0".repeat(1024) + "1".repeat(1024)))).toBe(true);
    expect([...seen].some((text) => /^(.{1024})*(\d)\2{511}\0{512}/s.test(text))).toBe(true);
  });
});

describe("a log of system calls", () => {
  const read = (...lines: string[]): DiskStep[] => readDiskLog(lines.join("\n"), "/r", "/notes");

  test("gives writes their place, and barriers theirs", () => {
    expect(
      read(
        `1 openat(AT_FDCWD<${hex("/")}>, "${hex("/r/a")}", O_WRONLY|O_CREAT|O_TRUNC, 0600) = 5<${hex("/r/a")}>`,
        `1 write(5<${hex("/r/a")}>, "${hex("ab")}", 2 <unfinished ...>`,
        `2 write(9<${hex("/notes")}>, "${hex("told x\n")}", 7) = 7`,
        "1 <... write resumed>) = 2",
        `1 write(5<${hex("/r/a")}>, "${hex("cd")}", 2) = 2`,
        `1 fsync(5<${hex("/r/a")}> <unfinished ...>`,
        `2 pwrite64(6<${hex("/r/a")}>, "${hex("e")}", 1, 7) = 1`,
        "1 <... fsync resumed>) = 0",
        `1 openat(AT_FDCWD<${hex("/")}>, "${hex("/elsewhere")}", O_WRONLY|O_CREAT, 0600) = 5<${hex("/elsewhere")}>`,
        `1 rename("${hex("/r/a")}", "${hex("/r/b")}") = 0`,
        `1 unlink("${hex("/r/none")}") = -1 ENOENT (No such file or directory)`,
      ),
    ).toEqual([
      { step: "create", path: "/r/a" },
      write("/r/a", "ab"),
      { step: "note", text: "told x" },
      write("/r/a", "cd", 2),
      { step: "sync begins", path: "/r/a", begun: 4 },
      write("/r/a", "e", 7),
      { step: "sync", path: "/r/a", begun: 4 },
      { step: "rename", from: "/r/a", to: "/r/b" },
    ]);
  });

  test("is refused where it shows what the model does not know", () => {
    expect(() => read(`1 symlink("${hex("x")}", "${hex("/r/link")}") = 0`)).toThrow(UnknownStepError);
  });
});
