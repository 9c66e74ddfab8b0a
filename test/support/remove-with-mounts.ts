import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

const TRIES = 50;
const AGAIN_AFTER_MS = 100;

/** Removes a daemon's directory with what is still mounted below it. Shims and clean-ups that outlive their daemon by a moment may
 *  mount and take away at the same time: only what stays counts. */
export function removeWithMounts(directory: string): void {
  for (let left = TRIES; ; left -= 1) {
    for (const path of mountsBelow(directory)) spawnSync("umount", ["-l", path], { stdio: "ignore" });
    try {
      const mounted = mountsBelow(directory);
      // What is mounted is not this directory's to remove.
      if (mounted.length > 0) throw new Error(`these stay mounted: ${mounted.join(", ")}`);
      rmSync(directory, { recursive: true, force: true });
      return;
    } catch (error) {
      if (left === 0) throw error;
      Bun.sleepSync(AGAIN_AFTER_MS);
    }
  }
}

/** The deepest first. */
function mountsBelow(directory: string): string[] {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path === directory || path.startsWith(`${directory}/`))
    .reverse();
}
