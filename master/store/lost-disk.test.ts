import { expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { openSqliteStore } from "./sqlite-store.ts";

setDefaultTimeout(300_000);

/** Some pages, so that the log is long enough to be copied soon. */
const length = 400_000;

/** Creates a key for each line that it reads, or scrubs the file, and says what became of it. */
const program = (dataDir: string): string => `
  import { stderrLog } from "#shared/client/log.ts";
  import { openStore } from "#master/store/store-choice.ts";
  const settings = { dataDir: ${JSON.stringify(dataDir)}, store: "sqlite", etcdCafile: "", etcdCertfile: "", etcdKeyfile: "" };
  const store = await openStore(settings, stderrLog());
  console.log("open");
  for await (const key of console) {
    const work = async () =>
      key === "scrub"
        ? store.compact(await store.now(), { scrubs: true })
        : store.create(\`/registry/\${key}\`, "v".repeat(${length}));
    const said = await work().then(() => "has", (error) => error.name);
    console.log(\`\${said} \${key}\`);
  }`;

for (const [file, work] of [
  ["store.db-wal", "key"],
  ["store.db", "key"],
  ["store.db-wal", "scrub"],
] as const)
  test(`a disk that takes no more of ${file} (${work}) ends the process, and what was acknowledged is there at the next start`, async () => {
    const dir = mkdtempSync(join(tmpdir(), "bramble-lost-disk-"));
    mkdirSync(join(dir, "pki"));
    const child = spawn(process.execPath, ["-e", program(dir)], { cwd: join(import.meta.dir, "../..") });
    const ended = once(child, "exit");
    let complaint = "";
    child.stderr.on("data", (text) => {
      complaint += text;
    });
    const said = linesOf(child.stdout);
    try {
      expect(await said()).toBe("open");
      child.stdin.write("one\n");
      expect(await said()).toBe("has one");
      const failing = ["-P", join(dir, "store", file), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"];
      const strace = spawn("strace", ["-f", "-o", "/dev/null", ...failing, "-p", String(child.pid)]);
      expect(await attached(strace.stderr)).toContain("attached");
      const acknowledged = ["one"];
      for (let n = 0; child.exitCode === null; n++) {
        const line = work === "scrub" ? work : `key-${n}`;
        child.stdin.write(`${line}\n`);
        if ((await said()) !== `has ${line}`) break;
        acknowledged.push(line);
      }
      if (file === "store.db-wal") expect(acknowledged).toEqual(["one"]);
      expect(await ended).toEqual([1, null]);
      expect(complaint).toContain("look at the disk");
      const store = await openSqliteStore({ path: join(dir, "store/store.db") });
      for (const key of acknowledged) expect((await store.get(`/registry/${key}`))?.value.length).toBe(length);
      await store.close();
    } finally {
      child.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    }
  });

/** Said first, or after what paths it resolved. */
async function attached(input: Readable): Promise<string | undefined> {
  const next = linesOf(input);
  for (;;) {
    const line = await next();
    if (line === undefined || line.includes("attached")) return line;
  }
}

/** Gives one line after the other; undefined after the last. */
function linesOf(input: Readable): () => Promise<string | undefined> {
  const lines = createInterface({ input })[Symbol.asyncIterator]();
  return async () => ((await lines.next()) as { value: string | undefined }).value;
}
