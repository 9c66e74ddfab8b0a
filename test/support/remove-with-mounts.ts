import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

/** Removes a daemon's directory with what is still mounted below it. Shims that outlive their daemon by a moment may take
 *  mounts and files away at the same time: only what stays counts. */
export function removeWithMounts(directory: string): void {
  for (const path of mountsBelow(directory)) spawnSync("umount", ["-l", path], { stdio: "ignore" });
  const left = mountsBelow(directory);
  if (left.length > 0) throw new Error(`these stay mounted: ${left.join(", ")}`);
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

/** The deepest first. */
function mountsBelow(directory: string): string[] {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${directory}/`))
    .reverse();
}
