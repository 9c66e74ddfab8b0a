import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cut, cutAt, record } from "./recording.ts";

setDefaultTimeout(3_600_000);

/** A share in every run; BRAMBLE_POWER_CUTS=500 for the whole. */
const cuts = Math.ceil(Number(process.env["BRAMBLE_POWER_CUTS"] ?? 100) / 5);
const seed = Number(process.env["BRAMBLE_SEED"] ?? 1);
const own = mkdtempSync(join(tmpdir(), "bramble-first-boot-"));
afterAll(() => rmSync(own, { recursive: true, force: true }));

const token = `BR1${"a".repeat(64)}::abcdef.0123456789abcdef`;
const settings = (line: string): string => `role=worker\r\n${line}label=disk=card\r\n`;
const forgotten = "# the token was removed when this board had joined\n";

test(`a token is removed whole or not at all, and a second run ends it, at ${cuts} points`, async () => {
  const first = settings(`token=${token}\r\n`).replaceAll("\r\n", "\\r\\n");
  await cutAt(await record("first-boot-run.sh", own, first), cuts, seed, look);
});

async function look(folder: string, cut: Cut): Promise<void> {
  const file = join(folder, "bramble.conf");
  if (cut.notes.length === 0 && !existsSync(file)) return;
  const text = readFileSync(file, "utf8");
  const possible = [`token=${token}\r\n`, `token=${"x".repeat(token.length)}\r\n`, forgotten].map(settings);
  // What is written in place may be there in part; what is around it is never touched.
  const within = /^role=worker\r\ntoken=[BR0-9a-fx:.]+\r\nlabel=disk=card\r\n$/.test(text);
  if (!possible.includes(text) && !within) throw new Error(`bramble.conf is broken: ${JSON.stringify(text)}`);
  if (cut.notes.includes("forgotten")) expect(text).toBe(settings(forgotten));
  const again = Bun.spawnSync({
    cmd: ["sh", join(import.meta.dir, "first-boot-run.sh"), folder, "/dev/null", own, ""],
    stderr: "pipe",
  });
  if (again.exitCode !== 0) throw new Error(`a second run fails: ${again.stderr.toString()}`);
  expect(readFileSync(file, "utf8")).toBe(settings(forgotten));
}
