import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isUnbounded, judgeJournal, probeJournal } from "./journal.ts";

const root = mkdtempSync(join(tmpdir(), "bramble-journal-"));
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  rmSync(root, { recursive: true });
  mkdirSync(join(root, "run/systemd/journal"), { recursive: true });
});
function write(path: string, text = ""): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

test("where no journald runs, nothing is said", async () => {
  rmSync(join(root, "run"), { recursive: true });
  expect(await probeJournal(root)).toBeUndefined();
});

test("journald's own settings on a machine with a folder for it: on the card, without a bound", async () => {
  write("etc/systemd/journald.conf", "[Journal]\n#Storage=auto\n#SystemMaxUse=\n");
  mkdirSync(join(root, "var/log/journal"), { recursive: true });
  const facts = await probeJournal(root);
  if (!facts) throw new Error("nothing seen");
  expect(isUnbounded(facts)).toBe(true);
  expect(judgeJournal(facts)).toMatchObject({ level: "note", mend: expect.stringContaining("SystemMaxUse=64M below") });
});

test("a later file counts, and one in /etc hides its namesake", async () => {
  mkdirSync(join(root, "var/log/journal"), { recursive: true });
  write("usr/lib/systemd/journald.conf.d/40-volatile.conf", "[Journal]\nStorage=volatile\n");
  expect(await probeJournal(root)).toMatchObject({ storage: "volatile" });
  write("etc/systemd/journald.conf.d/40-volatile.conf", "");
  expect(await probeJournal(root)).toMatchObject({ storage: "auto" });
  write("etc/systemd/journald.conf.d/50-bramble.conf", "[Journal]\nSystemMaxUse = 64M\n");
  const facts = await probeJournal(root);
  expect(facts && judgeJournal(facts)).toMatchObject({ level: "ok", finding: "at most 64M on the card" });
});

test("without a folder for it, and with none at all", () => {
  expect(judgeJournal({ storage: "auto", systemMaxUse: undefined, hasFolder: false }).finding).toBe("in memory");
  expect(judgeJournal({ storage: "none", systemMaxUse: undefined, hasFolder: true }).level).toBe("note");
  expect(judgeJournal({ storage: "persistent", systemMaxUse: "", hasFolder: false }).level).toBe("note");
});
