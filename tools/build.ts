/**
 * Makes dist/ a release: bramble-linux-{x64,arm64}, what install.sh needs beside them, and SHA256SUMS. `bun tools/build.ts [x64] [arm64]` builds only those named.
 */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { withoutUnusedDockerParts } from "./docker-parts.ts";

const root = join(import.meta.dir, "..");
const dist = join(root, "dist");
const architectures = ["x64", "arm64"] as const;
const version = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version as string;

/** Files that run as Worker threads: each must be an entry point of its own to be found inside the binary. */
const workers = ["master/store/sqlite-worker.ts"];

/** Files that are found at run time among the binary's own, with the scripts that make them. */
const made = {
  // Descriptions for `kubectl explain`.
  "shared/api/openapi/descriptions.generated.gz": "tools/schema/descriptions.ts",
  "master/dashboard/page.generated.pack": "tools/dashboard.ts",
};
const assets = Object.keys(made);
for (const script of Object.values(made)) {
  const run = Bun.spawnSync({ cmd: [process.execPath, script], cwd: root, stdout: "inherit", stderr: "inherit" });
  if (run.exitCode !== 0) process.exit(run.exitCode ?? 1);
}

/** What install.sh puts on a board beside the binary; with it, dist/ is a release. */
const installed = [
  "install.sh",
  "bramble-uninstall.sh",
  "systemd/bramble-supervise.sh",
  "systemd/bramble-master.service",
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
  await Bun.build({
    entrypoints: ["bramble.ts", ...workers, ...assets].map((file) => join(root, file)),
    root,
    compile: { target: `bun-linux-${architecture}`, outfile: join(dist, `bramble-linux-${architecture}`) },
    // A command loads its own parts only: the less code a worker parses, the less memory it holds.
    splitting: true,
    // Names stay, so that a stack trace from the field can be read.
    minify: { whitespace: true, syntax: true, identifiers: false },
    plugins: [withoutUnusedDockerParts],
    define: { BRAMBLE_VERSION: JSON.stringify(version), BRAMBLE_BUILT_AT_MS: String(buildTime_ms()) },
  });
}

for (const file of installed) copyFileSync(join(root, file), join(dist, basename(file)));
const released = new Set(installed.map((file) => basename(file)));
const sums = readdirSync(dist)
  .filter((name) => /^bramble-linux-(x64|arm64)$/.test(name) || released.has(name))
  .sort()
  .map(
    (name) =>
      `${createHash("sha256")
        .update(readFileSync(join(dist, name)))
        .digest("hex")}  ${name}`,
  );
writeFileSync(join(dist, "SHA256SUMS"), `${sums.join("\n")}\n`);
console.log(sums.join("\n"));

/** The commit's time, so that one commit always gives the same binary; now, outside a repository. */
function buildTime_ms(): number {
  const git = Bun.spawnSync({ cmd: ["git", "log", "-1", "--format=%ct"], cwd: root, stderr: "ignore" });
  const seconds = Number(git.stdout.toString().trim());
  return seconds > 0 ? seconds * 1000 : Date.now();
}
