import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CgroupsUnusable, CgroupTree } from "#agent/kubelet/cgroups/cgroup-tree.ts";
import { type Board, type BoardHost, runtimeTool } from "./board.ts";
import { type Lan, networkNamespace, plugIn, setLink, unplug } from "./lan.ts";
import { attempt, run, waitFor } from "./run.ts";

const initScript = join(import.meta.dir, "board-init.sh");

/** A board of namespaces of this machine, with a container runtime and Bramble in them. */
export class NamespaceBoard implements BoardHost {
  constructor(
    readonly lan: Lan,
    readonly board: Board,
    readonly dir: string,
    readonly binary: string,
  ) {}

  /** Power on: namespaces and the container runtime. Bramble is started apart. */
  async powerOn(): Promise<void> {
    mkdirSync(join(this.dir, "root"), { recursive: true });
    plugIn(this.lan, this.board.name, this.board.address);
    const outside = this.spawn("init", [
      "nsenter",
      `--net=/run/netns/${networkNamespace(this.lan, this.board.name)}`,
      "unshare",
      "--mount",
      "--uts",
      "--ipc",
      "--pid",
      "--fork",
      "--kill-child",
      "--propagation",
      "private",
      initScript,
      this.dir,
      this.board.hostname,
      this.board.runtime ?? "docker",
    ]);
    // `unshare --fork` stays outside; its child is the board's first process.
    const init = await waitFor(`${this.board.name}: first process`, 180, () => childOf(outside));
    this.writePid("board", init);
    const { name, version } = runtimeTool(this.board);
    await waitFor(`${this.board.name}: ${name}`, 180, () => attempt(this.inside(version)) || undefined);
  }

  startBramble(extra: readonly string[] = []): void {
    // Also where it is only about to run.
    if (this.wrapperPid !== undefined) return;
    const groups = ["--cgroup-root", this.cgroupRoot];
    this.writePid(
      "bramble",
      this.spawn(
        "bramble",
        this.inside([this.binary, ...this.board.args, ...runtimeTool(this.board).brambleArgs, ...groups, ...extra]),
      ),
    );
  }

  /** Ends Bramble alone; containers go on. */
  async stopBramble(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    // nsenter into a PID namespace forks: the program is its child, once it has. Ended before, it might leave one behind.
    const target = await waitFor(`${this.board.name}: bramble`, 180, () =>
      this.wrapperPid === undefined ? null : this.bramblePid,
    );
    if (target === null) return;
    kill(target, signal);
    await waitFor(`${this.board.name}: end of bramble`, 180, () => !existsSync(`/proc/${target}`) || undefined);
    rmSync(join(this.dir, "bramble.pid"), { force: true });
  }

  /** A power cut: everything on the board dies at once and its link goes dark. */
  async cut(): Promise<void> {
    const init = this.pid("board");
    if (init !== undefined) {
      attempt(["ip", "-n", `${this.lan.cluster}-lan`, "link", "set", this.board.name, "down"]);
      kill(init, "SIGKILL");
      await waitFor(`${this.board.name}: death`, 180, () => !existsSync(`/proc/${init}`) || undefined);
    }
    unplug(this.lan, this.board.name);
    for (const name of ["board", "bramble"]) rmSync(join(this.dir, `${name}.pid`), { force: true });
  }

  link(state: "up" | "down"): void {
    setLink(this.lan, this.board.name, state);
  }

  get powered(): boolean {
    const init = this.pid("board");
    return init !== undefined && existsSync(`/proc/${init}`);
  }

  /** PID of the Bramble process as this machine sees it. */
  get bramblePid(): number | undefined {
    const wrapper = this.wrapperPid;
    return wrapper === undefined ? undefined : childOf(wrapper);
  }

  /** PID of what leads Bramble into the board's namespaces, and ends with it. */
  private get wrapperPid(): number | undefined {
    const pid = this.pid("bramble");
    // PIDs come again.
    return pid !== undefined && commandOf(pid).includes("nsenter") ? pid : undefined;
  }

  /** The command that runs `command` on the board. */
  inside(command: readonly string[]): string[] {
    const init = this.pid("board");
    if (init === undefined) throw new Error(`${this.board.name} is off`);
    return ["nsenter", `--target=${init}`, "--mount", "--uts", "--ipc", "--net", "--pid", "--", ...command];
  }

  exec(command: readonly string[]): string {
    return run(this.inside(command));
  }

  read(path: string): string | undefined {
    const file = join(this.dir, "root", path);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  log(lines: number): string {
    const file = join(this.dir, "bramble.log");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").slice(-lines).join("\n") : "";
  }

  async remove(): Promise<void> {
    await this.cut();
    const groups = await CgroupTree.open([]).catch((error: unknown) => {
      if (error instanceof CgroupsUnusable) return undefined;
      throw error;
    });
    await groups?.remove(this.cgroupRoot);
  }

  /** Boards share the machine's control groups: each has its own for those of its pods. */
  private get cgroupRoot(): string {
    return `/bramble-${this.lan.cluster}-${this.board.name}`;
  }

  private spawn(log: string, command: readonly string[]): number {
    const out = openSync(join(this.dir, `${log}.log`), "a");
    const child = Bun.spawn({
      cmd: ["setsid", ...command],
      stdin: "ignore",
      stdout: out,
      stderr: out,
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
    });
    child.unref();
    return child.pid;
  }

  private pid(name: string): number | undefined {
    const file = join(this.dir, `${name}.pid`);
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined;
  }

  private writePid(name: string, pid: number): void {
    writeFileSync(join(this.dir, `${name}.pid`), String(pid));
  }
}

function childOf(pid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children === "" ? undefined : Number(children.split(" ")[0]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Empty for one that has ended. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
