import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { hardwareAddress, type Lan, lanNamespace } from "./lan.ts";
import { attempt, run, waitFor } from "./run.ts";
import {
  type DebianRelease,
  type GuestMachine,
  readFromDisk,
  type VmImage,
  vmImage,
  writeIntoDisk,
} from "./vm-image.ts";

export interface VmPlan {
  readonly memory_MiB: number;
  readonly cpus: number;
  /** Without the packages that install.sh adds by apt. */
  readonly bare: boolean;
  /** Debian 13 unless another is named. */
  readonly release?: DebianRelease | undefined;
  /** A PC unless another is named. */
  readonly machine?: GuestMachine | undefined;
  readonly hostname: string;
  /** How it is reached; without a LAN only through this machine's loopback. */
  readonly lan?: VmLan | undefined;
  /** Reaches nothing, and is reached only by its ports; on a LAN the LAN says. */
  readonly isolated?: boolean | undefined;
  /** Folders of this machine that the guest sees, read only, as /mnt/NAME. */
  readonly shares: Readonly<Record<string, string>>;
  /** Text of files that are to be on its disk; their folders are in the image. */
  readonly files?: Readonly<Record<string, string>> | undefined;
  /** Further disks: raw images of this machine, which outlive the guest. */
  readonly disks?: readonly string[] | undefined;
}

/** A place on a local cluster's LAN; the tap interface `link` is there already. */
export interface VmLan {
  readonly lan: Lan;
  readonly link: string;
  readonly address: string;
}

/** What a guest stays through power cuts. */
interface VmState {
  readonly plan: VmPlan;
  readonly image: VmImage;
  /** The board's serial, as its firmware tells it. */
  readonly uuid: string;
  readonly sshHost: string;
  readonly sshPort: number;
  /** The port of this machine's loopback that leads to the guest's 6443, if it is on no LAN. */
  readonly apiPort: number | undefined;
}

// A guest without hardware virtualisation takes a minute; on a busy machine many.
const boot_s = 1_800;
const shutdown_s = 900;
/** systemd gives up on a disk or a service after 90 s, which may be before a busy machine's guest has got to it. */
const ownArguments = [
  "root=/dev/vda rw net.ifnames=0 quiet",
  `systemd.default_device_timeout_sec=${boot_s} systemd.default_timeout_start_sec=${boot_s}`,
];

/** The emulator of a machine, and what its kernel calls the serial line. */
const emulators: Readonly<Record<GuestMachine, { readonly command: readonly string[]; readonly console: string }>> = {
  pc: { command: ["qemu-system-x86_64", "-machine", "q35", "-cpu", "max"], console: "ttyS0" },
  "pi-5": { command: ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a76"], console: "ttyAMA0" },
};

/**
 * A Debian with systemd and a kernel of its own, in emulation: what namespaces cannot show (installing, units, boot,
 * Docker's default flags, cgroups v2 whatever this machine has). Its disk lives as long as its folder.
 */
export class Vm {
  constructor(readonly dir: string) {}

  get exists(): boolean {
    return existsSync(join(this.dir, "vm.json"));
  }

  /** Makes its disk. Throws where there is a guest already. */
  async create(plan: VmPlan, say: (line: string) => void): Promise<void> {
    if (existsSync(this.dir)) throw new Error(`${this.dir} holds a guest; \`tools/cluster vm down\` ends it`);
    const image = vmImage(plan, say);
    mkdirSync(this.dir, { recursive: true });
    run(["cp", "--sparse=always", "--reflink=auto", image.disk, this.disk]);
    const { lan } = plan;
    writeIntoDisk(this.disk, {
      "/etc/hostname": `${plan.hostname}\n`,
      "/etc/hosts": `127.0.0.1 localhost\n127.0.1.1 ${plan.hostname}\n::1 localhost\n`,
      ...(lan && { "/etc/systemd/network/05-lan.network": staticNetwork(lan) }),
      ...(plan.isolated && { "/etc/systemd/network/05-isolated.network": isolatedNetwork }),
      ...plan.files,
    });
    const state: VmState = {
      plan,
      image,
      uuid: crypto.randomUUID(),
      sshHost: lan?.address ?? "127.0.0.1",
      sshPort: lan ? 22 : await freePort(),
      apiPort: lan ? undefined : await freePort(),
    };
    writeFileSync(join(this.dir, "vm.json"), JSON.stringify(state, undefined, 2));
  }

  /** Power on; resolves once its ssh answers and its shares are mounted. */
  async powerOn(): Promise<void> {
    const child = this.#start([]);
    child.unref();
    await this.#untilUp(undefined, () => child.exitCode !== null);
  }

  /** Boots once with further boot arguments, up to its restart, which leaves it off. It need not get as far as ssh. */
  async runOnce(bootArguments: readonly string[]): Promise<void> {
    const child = this.#start(bootArguments, ["-no-reboot"]);
    await waitFor(`the guest's restart (console: ${this.console})`, boot_s, () => child.exitCode !== null || undefined);
    if (child.exitCode !== 0) throw new Error(`qemu ended: ${readFileSync(this.console, "utf8").slice(-2000)}`);
  }

  #start(bootArguments: readonly string[], options: readonly string[] = []): Bun.Subprocess {
    const log = openSync(this.console, "a");
    const cmd = [...this.#qemu(bootArguments), ...options];
    const child = Bun.spawn({ cmd, stdin: "ignore", stdout: log, stderr: log });
    closeSync(log);
    writeFileSync(join(this.dir, "pid"), String(child.pid));
    return child;
  }

  /** Reboots as a person does, and resolves when it is up again. */
  async reboot(): Promise<void> {
    const before = this.#bootId();
    run(this.inside(["systemctl", "reboot"]));
    await waitFor("the guest's shutdown", shutdown_s, () => this.#bootId() !== before || undefined);
    await this.#untilUp(before, () => !this.powered);
  }

  /** Power off, without a word to the guest. What it had not written to its disk is lost. */
  async cut(): Promise<void> {
    attempt(["ssh", "-O", "exit", ...this.#sshTarget]);
    const pid = this.#pid;
    if (pid === undefined) return;
    process.kill(pid, "SIGKILL");
    await waitFor("the guest's end", 30, () => !existsSync(`/proc/${pid}`) || undefined);
  }

  async remove(): Promise<void> {
    if (!this.exists) throw new Error(`no guest in ${this.dir}; \`tools/cluster vm up\` makes one`);
    await this.cut();
    rmSync(this.dir, { recursive: true });
  }

  /** Text of a file of its disk while it is off; empty where there is none. */
  fileOnDisk(path: string): string {
    return readFromDisk(this.disk, path);
  }

  get powered(): boolean {
    return this.#pid !== undefined;
  }

  /** The port of this machine's loopback that leads to its API server, if it is on no LAN. */
  get apiPort(): number | undefined {
    return this.#state.apiPort;
  }

  /** The command that runs `command` in the guest as root. */
  inside(command: readonly string[]): string[] {
    // ssh joins its arguments with blanks and gives them to a shell.
    return ["ssh", ...this.#sshTarget, command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")];
  }

  copy(files: readonly string[], to: string): void {
    const { image, sshHost, sshPort } = this.#state;
    const options = ["-q", "-r", "-i", image.sshKey, "-P", String(sshPort), ...this.#sshOptions];
    run(["scp", ...options, ...files, `root@${sshHost}:${to}`]);
  }

  get console(): string {
    return join(this.dir, "console.log");
  }

  /** The raw image of its disk. */
  get disk(): string {
    return join(this.dir, "disk.raw");
  }

  get #state(): VmState {
    if (!this.exists) throw new Error(`no guest in ${this.dir}; \`tools/cluster vm up\` makes one`);
    return JSON.parse(readFileSync(join(this.dir, "vm.json"), "utf8")) as VmState;
  }

  /** Its id may belong to another process by now; only the guest's own has the disk among its arguments. */
  get #pid(): number | undefined {
    const file = join(this.dir, "pid");
    const pid = existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined;
    if (pid === undefined || !existsSync(`/proc/${pid}/cmdline`)) return undefined;
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(this.disk) ? pid : undefined;
  }

  #qemu(bootArguments: readonly string[]): string[] {
    const { plan, image, uuid, sshPort, apiPort } = this.#state;
    const { lan } = plan;
    const emulator = emulators[plan.machine ?? "pc"];
    const network = lan
      ? `tap,id=lan,ifname=${lan.link},script=no,downscript=no`
      : `user,id=lan${plan.isolated ? ",restrict=on" : ""},hostfwd=tcp:127.0.0.1:${sshPort}-:22,hostfwd=tcp:127.0.0.1:${apiPort}-:6443`;
    return [
      ...["setsid", ...(lan ? ["nsenter", `--net=/run/netns/${lanNamespace(lan.lan)}`] : [])],
      ...[...emulator.command, "-accel", "tcg,thread=multi", "-uuid", uuid],
      ...["-smp", String(plan.cpus), "-m", String(plan.memory_MiB), "-display", "none", "-serial", "stdio"],
      ...["-kernel", image.kernel, "-initrd", image.initrd],
      ...["-append", [`console=${emulator.console}`, ...ownArguments, ...bootArguments].join(" ")],
      ...[this.disk, ...(plan.disks ?? [])].flatMap((file) => [
        "-drive",
        `file=${file},if=virtio,format=raw,cache=unsafe`,
      ]),
      ...["-device", "virtio-rng-pci"],
      ...["-netdev", network],
      ...["-device", `virtio-net-pci,netdev=lan${lan ? `,mac=${hardwareAddress(lan.address)}` : ""}`],
      ...Object.entries(plan.shares).flatMap(([name, path]) => [
        "-virtfs",
        `local,path=${path},mount_tag=${name},security_model=none,readonly=on`,
      ]),
    ];
  }

  async #untilUp(previousBoot: string | undefined, hasEnded: () => boolean): Promise<void> {
    await waitFor(`the guest's ssh (console: ${this.console})`, boot_s, async () => {
      if (hasEnded()) throw new Error(`qemu ended: ${readFileSync(this.console, "utf8").slice(-2000)}`);
      const boot = this.#bootId();
      if (boot !== undefined && boot !== previousBoot) return true;
      await Bun.sleep(1000);
      return undefined;
    });
    for (const name of Object.keys(this.#state.plan.shares)) {
      const mount = ["mount", "--mkdir", "-t", "9p", "-o", "trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144"];
      run(this.inside([...mount, name, `/mnt/${name}`]));
    }
  }

  /** Which boot of the guest's answers, if one does. */
  #bootId(): string | undefined {
    const { exitCode, stdout } = Bun.spawnSync({
      cmd: this.inside(["cat", "/proc/sys/kernel/random/boot_id"]),
      stdin: "ignore",
      stderr: "ignore",
    });
    return exitCode === 0 ? stdout.toString().trim() : undefined;
  }

  get #sshTarget(): string[] {
    const { image, sshHost, sshPort } = this.#state;
    return ["-i", image.sshKey, "-p", String(sshPort), ...this.#sshOptions, `root@${sshHost}`];
  }

  /** A guest's host key is made anew with each guest, and nobody stands between. One connection serves all commands. */
  get #sshOptions(): string[] {
    return [
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
      ...["-o", "BatchMode=yes", "-o", "ConnectTimeout=20"],
      ...["-o", "ServerAliveInterval=20", "-o", "ServerAliveCountMax=6"],
      ...["-o", "ControlMaster=auto", "-o", `ControlPath=${join(this.dir, "ssh")}`, "-o", "ControlPersist=120"],
    ];
  }
}

function staticNetwork({ lan, address }: VmLan): string {
  return `[Match]\nName=eth0\n[Network]\nAddress=${address}/24\nGateway=${lan.prefix}.254\n`;
}

/** The emulator tells an isolated guest of no router: with one that leads nowhere it is as behind a router without internet. */
const isolatedNetwork = "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nGateway=10.0.2.2\n";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
