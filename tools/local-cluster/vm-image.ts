import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "./run.ts";

/** Debian's releases that a guest may have: 13 and 12, whose systemd, Docker and iptables are some years older. */
export type DebianRelease = "trixie" | "bookworm";

/**
 * What a guest is: `pc`, x86 with pages of 4 KiB, or `pi-5`, an arm64 machine whose kernel has the 16 KiB that Raspberry Pi OS
 * boots a Pi 5 with. Debian has such a kernel from 13 on.
 */
export type GuestMachine = "pc" | "pi-5";

/** How Debian calls a machine's processor and the kernel for it. */
const debianNames: Readonly<Record<GuestMachine, { readonly architecture: string; readonly kernel: string }>> = {
  pc: { architecture: "amd64", kernel: "linux-image-amd64" },
  "pi-5": { architecture: "arm64", kernel: "linux-image-arm64-16k" },
};

/** A guest's disk with Debian, and what boots it. Made once and never written again; guests run from copies. */
export interface VmImage {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  /** Private key that the guest's root lets in. */
  readonly sshKey: string;
  /** Debian's busybox-static, for stand-ins of images that the guest's processor runs. */
  readonly busybox: string;
}

const disk_GiB = 6;

/** A machine as a person gives it to install.sh: systemd, a network, ssh. */
const basePackages = [
  "systemd,systemd-sysv,systemd-resolved,systemd-timesyncd,dbus,udev,kmod,procps",
  "openssh-server,sudo,iproute2,iputils-ping,netbase,curl,ca-certificates,busybox-static",
];
/** What install.sh would add by apt; in the image so that a guest needs no internet. */
const installedPackages: Readonly<Record<DebianRelease, string>> = {
  trixie: "docker.io,docker-cli,apparmor,iptables,ipset,conntrack,containernetworking-plugins",
  // Docker's command line is in docker.io still.
  bookworm: "docker.io,apparmor,iptables,ipset,conntrack,containernetworking-plugins",
};

/**
 * The image, made by mmdebstrap on first use (some minutes) and kept in the cache folder until other packages are wanted.
 * @param bare leaves out what install.sh installs by apt: the guest then needs the internet.
 */
export function vmImage(
  options: {
    readonly bare: boolean;
    readonly release?: DebianRelease | undefined;
    readonly machine?: GuestMachine | undefined;
  },
  say: (line: string) => void,
): VmImage {
  const release = options.release ?? "trixie";
  const { architecture, kernel } = debianNames[options.machine ?? "pc"];
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "bramble-test");
  const packages = [...basePackages, kernel, ...(options.bare ? [] : [installedPackages[release]])];
  const dir = join(cache, `vm-${release}-${architecture}-${Bun.hash.crc32(packages.join(",")).toString(16)}`);
  const image: VmImage = {
    disk: join(dir, "disk.raw"),
    kernel: join(dir, "vmlinuz"),
    initrd: join(dir, "initrd.img"),
    sshKey: join(dir, "ssh-key"),
    busybox: join(dir, "busybox"),
  };
  if (existsSync(dir)) return image;
  say(`making a guest of Debian ${release} (${architecture}) in ${dir}; this takes some minutes, once`);
  const work = `${dir}.new`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  makeImage(work, release, architecture, packages);
  renameSync(work, dir);
  return image;
}

function makeImage(dir: string, release: DebianRelease, architecture: string, packages: readonly string[]): void {
  const root = join(dir, "root");
  run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bramble-test", "-f", join(dir, "ssh-key")]);
  const what = [`--architectures=${architecture}`, `--include=${packages.join(",")}`];
  run(["mmdebstrap", "--quiet", "--variant=minbase", ...what, release, root]);
  configure(root, readFileSync(join(dir, "ssh-key.pub"), "utf8"));
  for (const name of ["vmlinuz", "initrd.img"]) run(["cp", "--dereference", bootFile(root, name), join(dir, name)]);
  run(["cp", "--dereference", join(root, "bin/busybox"), join(dir, "busybox")]);
  run(["mkfs.ext4", "-q", "-F", "-L", "root", "-d", root, join(dir, "disk.raw"), `${disk_GiB}G`]);
  rmSync(root, { recursive: true });
}

function configure(root: string, publicKey: string): void {
  const put = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text, { mode });
  };
  put("etc/hostname", "debian\n");
  put("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost\n");
  put("etc/fstab", "LABEL=root / ext4 noatime 0 1\n");
  put("etc/systemd/network/10-all.network", "[Match]\nName=eth*\n[Network]\nDHCP=ipv4\n");
  put("root/.ssh/authorized_keys", publicKey, 0o600);
  for (const unit of ["systemd-networkd.service", "systemd-resolved.service", "ssh.service"])
    run(["systemctl", `--root=${root}`, "enable", "--quiet", unit]);
}

function bootFile(root: string, name: string): string {
  const file = readdirSync(join(root, "boot")).find((each) => each.startsWith(`${name}-`));
  if (file === undefined) throw new Error(`the guest has no ${name}`);
  return join(root, "boot", file);
}

/** Writes small files into an ext4 disk that nothing has mounted; what was there under a name is replaced. */
export function writeIntoDisk(disk: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    const source = `${disk}.file`;
    writeFileSync(source, text, { mode: 0o644 });
    // debugfs ends well whatever happens, so what it has written is looked at; `rm` of what is not there is no failure.
    run(["debugfs", "-w", "-R", `rm ${path}`, disk]);
    run(["debugfs", "-w", "-R", `write ${source} ${path}`, disk]);
    rmSync(source);
    if (readFromDisk(disk, path) !== text) throw new Error(`${path} cannot be written into ${disk}`);
  }
}

/** Text of a file on an ext4 disk that nothing has mounted; empty where there is none. */
export const readFromDisk = (disk: string, path: string): string => run(["debugfs", "-R", `cat ${path}`, disk]);
