import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "#tools/local-cluster/run.ts";

const size_MiB = 300;

/** The FAT partition of a card, as one disk that a guest has beside its own; it can be read when the guest is off. */
export class BootPartition {
  readonly image: string;

  /** @param label as a system's fstab or cloud-init looks for it. */
  constructor(
    dir: string,
    readonly label: string,
  ) {
    mkdirSync(dir, { recursive: true });
    this.image = join(dir, "boot.img");
    run(["mkfs.vfat", "-C", "-n", label, this.image, String(size_MiB * 1024)]);
  }

  /** Copies files into its top. */
  copy(...paths: string[]): void {
    run(["mcopy", "-i", this.image, ...paths, "::"]);
  }

  write(name: string, text: string): void {
    const file = `${this.image}.file`;
    writeFileSync(file, text);
    run(["mcopy", "-o", "-i", this.image, file, `::${name}`]);
    rmSync(file);
  }

  /** Text of a file, while the guest is off. */
  read(name: string): string {
    return run(["mtype", "-i", this.image, `::${name}`]);
  }

  /** What a guest's fstab has, for it to lie where it does on a Raspberry Pi. */
  get fstab(): string {
    return `LABEL=root / ext4 noatime 0 1\nLABEL=${this.label} /boot/firmware vfat umask=0077 0 0\n`;
  }
}
