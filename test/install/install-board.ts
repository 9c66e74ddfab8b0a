import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Lan, networkNamespace, plugIn, unplug } from "#tools/local-cluster/lan.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { takeNetwork } from "../support/free-network.ts";

export interface Ran {
  readonly code: number;
  /** Both streams. */
  readonly output: string;
}

/**
 * A network of the file's own as long as the process lives, with a name by chance: others are tested on this machine at the
 * same time. @param name at most six characters.
 */
export async function takeLan(name: string): Promise<Lan> {
  const [suffix = 0] = crypto.getRandomValues(new Uint16Array(1));
  const network = await takeNetwork(1);
  return { cluster: name + suffix.toString(36), prefix: network.prefix(0) };
}

/** A machine without systemd on which nothing of Bramble is installed; board.sh says how. */
export class InstallBoard {
  private constructor(
    private readonly lan: Lan,
    readonly name: string,
    private readonly init: number,
  ) {}

  static async start(lan: Lan, name: string, address: string): Promise<InstallBoard> {
    plugIn(lan, name, address);
    const outside = Bun.spawn({
      cmd: [
        ...["nsenter", `--net=/run/netns/${networkNamespace(lan, name)}`],
        ...["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--propagation", "private"],
        ...[join(import.meta.dir, "board.sh"), name],
      ],
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
    });
    const init = await waitFor(`${name}: first process`, 180, () => childOf(outside.pid));
    await waitFor(`${name}: its file tree`, 180, () => {
      if (outside.exitCode !== null) throw new Error(`${name}: board.sh ended with ${outside.exitCode}`);
      return existsSync(`/proc/${init}/root/run/board-ready`) || undefined;
    });
    return new InstallBoard(lan, name, init);
  }

  /** Runs a shell line there. */
  async run(line: string, env: Readonly<Record<string, string>> = {}): Promise<Ran> {
    const child = Bun.spawn({
      cmd: [
        ...["nsenter", `--target=${this.init}`, "--mount", "--uts", "--ipc", "--net", "--pid"],
        // What a root shell has, and nothing of who runs the test.
        ...["env", "-i", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
        ...["sh", "-c", `${line} 2>&1`],
      ],
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const output = await new Response(child.stdout).text();
    return { code: await child.exited, output };
  }

  stop(): void {
    try {
      process.kill(this.init, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    unplug(this.lan, this.name);
  }
}

function childOf(pid: number): number | undefined {
  const file = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  return children === "" ? undefined : Number(children.split(" ")[0]);
}
