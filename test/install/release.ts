/** A release folder as a user has it, for boards to install from. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Ran } from "./install-board.ts";

export const host = process.arch === "arm64" ? "arm64" : "x64";
/** BRAMBLE_BINARY tries another build than dist/. */
export const binary = process.env["BRAMBLE_BINARY"] ?? join(import.meta.dir, `../../dist/bramble-linux-${host}`);
if (!existsSync(binary)) throw new Error(`${binary} is not there: npm run build`);
const releases: string[] = [];

/** Removes all that were made. */
export function removeReleases(): void {
  for (const folder of releases) rmSync(folder, { recursive: true, force: true });
}

/** The scripts as they are now, with this machine's binary or another, in a folder of its own: what a board has once seen
 *  of a layer below it must not change. */
export function makeRelease(program: Uint8Array = readFileSync(binary), version = ownVersion()): string {
  // Not below /tmp, which a board has of its own; a copy, for the binary may be built anew meanwhile.
  const release = mkdtempSync("/var/tmp/bramble-release-");
  releases.push(release);
  const root = join(import.meta.dir, "../..");
  for (const file of ["install.sh", "bramble-uninstall.sh"]) cpSync(join(root, file), join(release, file));
  for (const file of readdirSync(join(root, "systemd"))) cpSync(join(root, "systemd", file), join(release, file));
  writeFileSync(join(release, `bramble-linux-${host}`), program, { mode: 0o755 });
  writeFileSync(join(release, "VERSION"), `${version}\n`);
  const sums = readdirSync(release).map(
    (name) =>
      `${createHash("sha256")
        .update(readFileSync(join(release, name)))
        .digest("hex")}  ${name}\n`,
  );
  writeFileSync(join(release, "SHA256SUMS"), sums.join(""));
  return release;
}

export function ownVersion(): string {
  return execFileSync(binary, ["--version"], { encoding: "utf8" }).trim();
}

/** What it printed. Throws with that where it failed. */
export function expectSuccess({ code, output }: Ran): string {
  if (code !== 0) throw new Error(`ended with ${code}:\n${output}`);
  return output;
}
