import { execFileSync } from "node:child_process";
import { closeSync, openSync, truncateSync } from "node:fs";

const losetup = (...args: string[]): string =>
  execFileSync("losetup", args, { encoding: "utf8", stdio: "pipe" }).trim();

/** Has this machine block devices to give, and programs to make a file system on one? */
export function canUseLoopDevices(): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    losetup("--find");
    return Bun.which("mkfs.ext4") !== null && Bun.which("blkid") !== null;
  } catch {
    return false;
  }
}

/** A block device that is a file: a disk of a test. */
export class LoopDevice {
  private constructor(
    readonly file: string,
    /** /dev/loopN */
    readonly path: string,
  ) {}

  static attach(file: string, size_bytes: number): LoopDevice {
    closeSync(openSync(file, "a", 0o600));
    truncateSync(file, size_bytes);
    return new LoopDevice(file, losetup("--find", "--show", file));
  }

  grow(size_bytes: number): void {
    truncateSync(this.file, size_bytes);
    losetup("--set-capacity", this.path);
  }

  /** Takes effect once nothing has it mounted. */
  detach(): void {
    losetup("--detach", this.path);
  }
}
