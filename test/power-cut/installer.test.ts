import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cut, cutAt, record } from "./recording.ts";

setDefaultTimeout(3_600_000);

/** A share in every run; BRAMBLE_POWER_CUTS=500 for the whole. */
const cuts = Math.ceil(Number(process.env["BRAMBLE_POWER_CUTS"] ?? 100) / 5);
const seed = Number(process.env["BRAMBLE_SEED"] ?? 1);
const root = join(import.meta.dir, "../..");
const releases = mkdtempSync(join(tmpdir(), "bramble-releases-"));
afterAll(() => rmSync(releases, { recursive: true, force: true }));

beforeAll(() => {
  for (const release of ["1", "2"]) {
    const folder = join(releases, release);
    mkdirSync(folder);
    for (const file of ["install.sh", "bramble-uninstall.sh"]) cpSync(join(root, file), join(folder, file));
    for (const file of readdirSync(join(root, "systemd"))) cpSync(join(root, "systemd", file), join(folder, file));
    // Stands for the program: it runs, and is larger than what is written at once.
    const program = `#!/bin/sh\necho ${release}\nexit\n${`${release}\n`.repeat(300_000)}`;
    writeFileSync(join(folder, "bramble-linux-x64"), program, { mode: 0o755 });
    writeFileSync(join(folder, "VERSION"), `${release}\n`);
    const sums = readdirSync(folder).map((name) => {
      const sum = createHash("sha256").update(readFileSync(join(folder, name)));
      return `${sum.digest("hex")}  ${name}\n`;
    });
    writeFileSync(join(folder, "SHA256SUMS"), sums.join(""));
  }
});

test(`an install or upgrade that is cut leaves old or new files, and a second run ends it, at ${cuts} points`, async () => {
  await cutAt(await record("installer-run.sh", releases), cuts, seed, look);
});

async function look(folder: string, cut: Cut): Promise<void> {
  const installed = cut.notes.at(-1)?.split(" ")[1];
  const possible = installed === undefined ? ["1"] : ["1", "2"];
  // What a start reads is whole, or not there on a board on which nothing was installed yet.
  const programs = possible.map((release) => readFileSync(join(releases, release, "bramble-linux-x64"), "utf8"));
  const found: [path: string, isWhole: (text: string) => boolean][] = [
    ["bin/bramble", (text) => programs.includes(text)],
    ["bin/bramble-uninstall.sh", (text) => text === readFileSync(join(root, "bramble-uninstall.sh"), "utf8")],
    ["etc/worker.env", (text) => possible.some((release) => text.includes(`release=${release}"\n`))],
    ["units/bramble-worker.service", (text) => text.includes("WantedBy=multi-user.target\n")],
  ];
  for (const [path, isWhole] of found) {
    const text = existsSync(join(folder, path)) ? readFileSync(join(folder, path), "utf8") : undefined;
    if (text === undefined) expect(`${path} after ${installed}`).toBe(`${path} after undefined`);
    else if (!isWhole(text)) throw new Error(`${path} is broken (${text.length} bytes)`);
  }
  if (installed !== undefined) {
    const settings = readFileSync(join(folder, "etc/config.yaml"), "utf8");
    const [server, token] = ["server", "token"].map((key) => new RegExp(`^${key}: "(.*)"$`, "m").exec(settings)?.[1]);
    expect(possible.map((release) => `https://master-${release}:6443 token-${release}`)).toContain(
      `${server} ${token}`,
    );
  }
  const again = Bun.spawnSync({
    cmd: ["sh", join(import.meta.dir, "installer-run.sh"), folder, "/dev/null", releases, "2"],
    stderr: "pipe",
  });
  if (again.exitCode !== 0) throw new Error(`a second run fails: ${again.stderr.toString()}`);
  expect(readFileSync(join(folder, "etc/config.yaml"), "utf8")).toContain('server: "https://master-2:6443"');
  expect(readFileSync(join(folder, "bin/bramble"), "utf8").startsWith("#!/bin/sh\necho 2\n")).toBe(true);
}
