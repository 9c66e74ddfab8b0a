import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Board, BoardHost } from "./board.ts";
import { createLan, type Lan, removeLan } from "./lan.ts";
import { waitFor } from "./run.ts";

export interface ClusterPlan {
  readonly name: string;
  readonly prefix: string;
  readonly binary: string;
  readonly boards: readonly Board[];
}

/** A running local cluster; its plan is kept in `dir/cluster.json` so that later commands find it. */
export class Cluster {
  private constructor(
    readonly plan: ClusterPlan,
    readonly dir: string,
  ) {}

  static async up(plan: ClusterPlan, dir: string, say: (line: string) => void): Promise<Cluster> {
    if (existsSync(join(dir, "cluster.json"))) {
      throw new Error(`${dir} holds a cluster; \`tools/cluster down --name ${plan.name}\` ends it`);
    }
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "cluster.json"), JSON.stringify(plan, undefined, 2));
    const cluster = new Cluster(plan, dir);
    createLan(cluster.lan);
    for (const board of plan.boards) {
      say(`${board.name}: power on`);
      await cluster.host(board.name).powerOn();
    }
    await cluster.startMasters(say);
    const token = readFileSync(cluster.file("master-1", "/var/lib/bramble/token"), "utf8").trim();
    for (const board of plan.boards.filter((each) => each.role === "worker")) {
      cluster.host(board.name).startBramble(["--token", token]);
      say(`${board.name}: joining`);
    }
    return cluster;
  }

  static open(dir: string): Cluster {
    const file = join(dir, "cluster.json");
    if (!existsSync(file)) throw new Error(`no cluster in ${dir}; \`tools/cluster up\` makes one`);
    return new Cluster(JSON.parse(readFileSync(file, "utf8")) as ClusterPlan, dir);
  }

  get lan(): Lan {
    return { cluster: this.plan.name, prefix: this.plan.prefix };
  }

  host(name: string): BoardHost {
    const board = this.plan.boards.find((each) => each.name === name);
    if (!board)
      throw new Error(`no board named ${name}; there are: ${this.plan.boards.map((each) => each.name).join(", ")}`);
    return new BoardHost(this.lan, board, join(this.dir, name), this.plan.binary);
  }

  get hosts(): BoardHost[] {
    return this.plan.boards.map((board) => this.host(board.name));
  }

  /** Where a file of a board lies on this machine. */
  file(board: string, path: string): string {
    return join(this.dir, board, "root", path);
  }

  copyKubeconfig(to: string): void {
    copyFileSync(this.file("master-1", "/etc/bramble/kubeconfig.yaml"), to);
  }

  async load(archive: string, say: (line: string) => void): Promise<void> {
    await Promise.all(
      this.hosts.map(async (host) => {
        const child = Bun.spawn({
          cmd: host.inside(["docker", "-H", "unix:///run/docker.sock", "load", "--quiet"]),
          stdin: Bun.file(archive),
          stdout: "ignore",
          stderr: "pipe",
        });
        if ((await child.exited) !== 0)
          throw new Error(`${host.board.name}: ${await new Response(child.stderr).text()}`);
        say(`${host.board.name}: loaded ${archive}`);
      }),
    );
  }

  async down(say: (line: string) => void): Promise<void> {
    for (const host of this.hosts) {
      await host.cut();
      say(`${host.board.name}: off`);
    }
    removeLan(this.lan);
    rmSync(this.dir, { recursive: true, force: true });
  }

  private async startMasters(say: (line: string) => void): Promise<void> {
    for (const board of this.plan.boards.filter((each) => each.role === "master")) {
      const host = this.host(board.name);
      host.startBramble();
      await waitFor(`${board.name}: API server (log: ${join(host.dir, "bramble.log")})`, 60, async () => {
        if (host.bramblePid === undefined) return undefined;
        const answer = await fetch(`https://${board.address}:6443/readyz`, {
          tls: { rejectUnauthorized: false },
        }).catch(() => undefined);
        return answer?.ok && existsSync(this.file(board.name, "/etc/bramble/kubeconfig.yaml")) ? true : undefined;
      });
      say(`${board.name}: API server ready`);
    }
  }
}
