/**
 * Makes dist/ a release: bramble-linux-{x64,arm64}, what install.sh needs beside them, and SHA256SUMS. `bun tools/build.ts
 * [x64] [arm64]` builds only those named.
 */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { signatureFile, sumsFile, versionFile } from "#shared/release/sums.ts";
import { architectures, buildProgram, embedded } from "./program.ts";

const root = join(import.meta.dir, "..");
const dist = join(root, "dist");
const version = releaseVersion();
/** BRAMBLE_SIGNING_KEY names a PEM file with the Ed25519 key that signs releases; programs built with it take no others. */
const signingKey = process.env["BRAMBLE_SIGNING_KEY"]
  ? createPrivateKey(readFileSync(process.env["BRAMBLE_SIGNING_KEY"]))
  : undefined;
const releaseKey = signingKey && createPublicKey(signingKey).export({ type: "spki", format: "pem" }).toString();

for (const script of Object.values(embedded)) {
  const run = Bun.spawnSync({ cmd: [process.execPath, script], cwd: root, stdout: "inherit", stderr: "inherit" });
  if (run.exitCode !== 0) process.exit(run.exitCode ?? 1);
}

/** What install.sh puts on a board beside the binary; with it, dist/ is a release. */
const installed = [
  "install.sh",
  "bramble-uninstall.sh",
  "systemd/bramble-first-boot.sh",
  "systemd/bramble-supervise.sh",
  "systemd/bramble-master.service",
  "systemd/bramble-etcd.service",
  "systemd/bramble-worker.service",
];

const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!(architectures as readonly string[]).includes(name)) {
    console.error(`build: no architecture named ${name}; there are: ${architectures.join(", ")}`);
    process.exit(2);
  }
}
mkdirSync(dist, { recursive: true });

for (const architecture of architectures) {
  if (wanted.length > 0 && !wanted.includes(architecture)) continue;
  await buildProgram(architecture, join(dist, `bramble-linux-${architecture}`), {
    version,
    releaseKey,
    builtAt_ms: buildTime_ms(),
  });
}

for (const file of installed) copyFileSync(join(root, file), join(dist, basename(file)));
writeFileSync(join(dist, versionFile), `${version}\n`);
const released = new Set([...installed.map((file) => basename(file)), versionFile]);
const sums = readdirSync(dist)
  .filter((name) => /^bramble-linux-(x64|arm64)$/.test(name) || released.has(name))
  .sort()
  .map(
    (name) =>
      `${createHash("sha256")
        .update(readFileSync(join(dist, name)))
        .digest("hex")}  ${name}`,
  );
const text = `${sums.join("\n")}\n`;
writeFileSync(join(dist, sumsFile), text);
if (signingKey)
  writeFileSync(join(dist, signatureFile), `${sign(undefined, Buffer.from(text), signingKey).toString("base64")}\n`);
else rmSync(join(dist, signatureFile), { force: true });
console.log(sums.join("\n"));

/** The commit's time, so that one commit always gives the same binary; now, outside a repository. */
function buildTime_ms(): number {
  const git = Bun.spawnSync({ cmd: ["git", "log", "-1", "--format=%ct"], cwd: root, stderr: "ignore" });
  const seconds = Number(git.stdout.toString().trim());
  return seconds > 0 ? seconds * 1000 : Date.now();
}

/** package.json's at a commit with the tag of that version, else with the commit; `.dirty` where files differ from it. */
function releaseVersion(): string {
  const base = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version as string;
  const git = (...args: string[]): string =>
    Bun.spawnSync({ cmd: ["git", ...args], cwd: root, stderr: "ignore" })
      .stdout.toString()
      .trim();
  const commit = git("rev-parse", "--short=7", "HEAD");
  if (commit === "") return base;
  const isDirty = git("status", "--porcelain", "--untracked-files=no") !== "";
  if (!isDirty && git("tag", "--points-at", "HEAD").split("\n").includes(`v${base}`)) return base;
  return `${base}+g${commit}${isDirty ? ".dirty" : ""}`;
}
