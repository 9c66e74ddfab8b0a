import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Board, BoardHost } from "./board.ts";
import { type Lan, plugInGuest, setLink, unplug } from "./lan.ts";
import { attempt, CommandError, run, waitFor } from "./run.ts";
import { Vm } from "./vm.ts";

/** A Raspberry Pi 3 has as much. */
const memory_MiB = 1024;
const cpus = 2;
const docker_s = 300;
const end_s = 120;

/**
 * A board that is an emulated Debian 13: systemd runs Bramble, cgroups are v2, Docker is the distribution's with its own
 * flags. Bramble comes onto it as a person brings it: by install.sh from a release folder.
 */
export class GuestBoard implements BoardHost {
  readonly binary = "/usr/local/bin/bramble";
  private readonly vm: Vm;

  /** @param release the folder that install.sh installs from. */
  constructor(
    readonly lan: Lan,
    readonly board: Board,
    readonly dir: string,
    private readonly release: string,
  ) {
    this.vm = new Vm(join(dir, "guest"));
  }

  async powerOn(): Promise<void> {
    const { name, address, hostname } = this.board;
    plugInGuest(this.lan, name);
    if (!this.vm.exists) {
      if (!existsSync(join(this.release, "install.sh")))
        throw new Error(`a guest is installed from a release folder; ${this.release} has no install.sh`);
      const lan = { lan: this.lan, link: name, address };
      const shares = { release: this.release };
      await this.vm.create({ memory_MiB, cpus, bare: false, hostname, lan, shares }, () => undefined);
    }
    await this.vm.powerOn();
    await waitFor(`${name}: dockerd`, docker_s, () => attempt(this.inside(["docker", "version"])) || undefined);
  }

  startBramble(extra: readonly string[] = []): void {
    if (attempt(this.inside(["test", "-e", `/etc/systemd/system/${this.unit}`])))
      this.exec(["systemctl", "start", "--no-block", this.unit]);
    else this.exec(["env", ...installation([...this.board.args, ...extra]), "/mnt/release/install.sh"]);
  }

  async stopBramble(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    // systemd would start again what was killed: the stop behind it ends that.
    if (signal === "SIGKILL") this.exec(["systemctl", "kill", "--signal=KILL", this.unit]);
    this.exec(["systemctl", "stop", this.unit]);
    await waitFor(`${this.board.name}: end of bramble`, end_s, () => this.bramblePid === undefined || undefined);
  }

  async cut(): Promise<void> {
    await this.vm.cut();
    unplug(this.lan, this.board.name);
  }

  link(state: "up" | "down"): void {
    setLink(this.lan, this.board.name, state);
  }

  get powered(): boolean {
    return this.vm.powered;
  }

  get bramblePid(): number | undefined {
    return Number(this.exec(["systemctl", "show", "--property=MainPID", "--value", this.unit])) || undefined;
  }

  inside(command: readonly string[]): string[] {
    return this.vm.inside(command);
  }

  exec(command: readonly string[]): string {
    return run(this.inside(command));
  }

  read(path: string): string | undefined {
    try {
      return this.exec(["cat", path]);
    } catch (error) {
      if (error instanceof CommandError && error.stderr.includes("No such file")) return undefined;
      throw error;
    }
  }

  log(lines: number): string {
    if (!this.powered) return "(off)";
    return this.exec(["journalctl", "--no-pager", "--output=cat", `--lines=${lines}`, `--unit=${this.unit}`]).trim();
  }

  async remove(): Promise<void> {
    if (this.vm.exists) await this.vm.remove();
    unplug(this.lan, this.board.name);
  }

  private get unit(): string {
    return `bramble-${this.board.role}.service`;
  }
}

/** The variables of install.sh that stand for the arguments of `bramble worker` or `bramble master`. */
function installation([role = "", ...args]: readonly string[]): string[] {
  const variables: Record<string, string> = { "--server": "BRAMBLE_URL", "--token": "BRAMBLE_TOKEN" };
  const environment: string[] = [];
  const flags = [role];
  for (let index = 0; index < args.length; index++) {
    const variable = variables[args[index] ?? ""];
    if (variable === undefined) flags.push(args[index] ?? "");
    else environment.push(`${variable}=${args[++index]}`);
  }
  return [...environment, `INSTALL_BRAMBLE_EXEC=${flags.join(" ")}`, "INSTALL_BRAMBLE_WAIT=0"];
}
