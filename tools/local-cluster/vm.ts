import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { attempt, run, waitFor } from "./run.ts";
import { vmImage } from "./vm-image.ts";

interface VmState {
  readonly pid: number;
  readonly sshKey: string;
  /** Ports of this machine's loopback that lead to the guest's 22 and 6443. */
  readonly sshPort: number;
  readonly apiPort: number;
}

export interface VmPlan {
  readonly memory_MiB: number;
  readonly cpus: number;
  readonly bare: boolean;
}

// A guest without hardware virtualisation takes a minute; on a busy machine several.
const boot_s = 400;

/**
 * A Debian 13 with systemd and a kernel of its own, in emulation: what namespaces cannot show (installing, units, boot,
 * Docker's default flags). Reached through this machine's loopback only.
 */
export class Vm {
  constructor(readonly dir: string) {}

  async up(plan: VmPlan, say: (line: string) => void): Promise<void> {
    if (existsSync(this.dir)) throw new Error(`${this.dir} holds a guest; \`tools/cluster vm down\` ends it`);
    const image = vmImage({ bare: plan.bare }, say);
    mkdirSync(this.dir, { recursive: true });
    run(["cp", "--sparse=always", "--reflink=auto", image.disk, this.disk]);
    const [sshPort, apiPort] = [await freePort(), await freePort()];
    const log = openSync(join(this.dir, "console.log"), "a");
    const child = Bun.spawn({
      cmd: [
        ...["setsid", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"],
        ...["-smp", String(plan.cpus), "-m", String(plan.memory_MiB), "-display", "none", "-serial", "stdio"],
        ...["-kernel", image.kernel, "-initrd", image.initrd],
        ...["-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet"],
        ...["-drive", `file=${this.disk},if=virtio,format=raw,cache=unsafe`, "-device", "virtio-rng-pci"],
        ...["-device", "virtio-net-pci,netdev=outside"],
        "-netdev",
        `user,id=outside,hostfwd=tcp:127.0.0.1:${sshPort}-:22,hostfwd=tcp:127.0.0.1:${apiPort}-:6443`,
      ],
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    child.unref();
    const state: VmState = { pid: child.pid, sshKey: image.sshKey, sshPort, apiPort };
    writeFileSync(join(this.dir, "vm.json"), JSON.stringify(state));
    say(`booting (console: ${join(this.dir, "console.log")})`);
    await waitFor("the guest's ssh", boot_s, async () => {
      if (child.exitCode !== null)
        throw new Error(`qemu ended: ${readFileSync(join(this.dir, "console.log"), "utf8")}`);
      if (attempt([...this.#ssh(["-o", "ConnectTimeout=10"]), "true"])) return true;
      await Bun.sleep(1000);
      return undefined;
    });
    say(`up; its port 6443 is 127.0.0.1:${apiPort} here`);
  }

  /** The command that runs `command` in the guest as root. */
  inside(command: readonly string[]): string[] {
    // ssh joins its arguments with blanks and gives them to a shell.
    return [...this.#ssh([]), command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")];
  }

  copy(files: readonly string[], to: string): void {
    const { sshKey, sshPort } = this.#state;
    run(["scp", "-q", "-r", "-i", sshKey, "-P", String(sshPort), ...sshOptions, ...files, `root@127.0.0.1:${to}`]);
  }

  async down(): Promise<void> {
    const { pid } = this.#state;
    if (readCommand(pid).includes(this.disk)) {
      process.kill(pid, "SIGKILL");
      await waitFor("the guest's end", 30, () => !existsSync(`/proc/${pid}`) || undefined);
    }
    rmSync(this.dir, { recursive: true });
  }

  private get disk(): string {
    return join(this.dir, "disk.raw");
  }

  get #state(): VmState {
    const file = join(this.dir, "vm.json");
    if (!existsSync(file)) throw new Error(`no guest in ${this.dir}; \`tools/cluster vm up\` makes one`);
    return JSON.parse(readFileSync(file, "utf8")) as VmState;
  }

  #ssh(options: readonly string[]): string[] {
    const { sshKey, sshPort } = this.#state;
    return ["ssh", "-i", sshKey, "-p", String(sshPort), ...sshOptions, ...options, "root@127.0.0.1"];
  }
}

/** A guest's host key is made anew with each guest, and nobody stands between on the loopback. */
const sshOptions = [
  ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
  ...["-o", "BatchMode=yes"],
];

/** Its id may belong to another process by now; only the guest's own has the disk among its arguments. */
function readCommand(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
