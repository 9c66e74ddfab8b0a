import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inUrl } from "#shared/http/host-port.ts";
import { type Board, type BoardHost, runtimeTool } from "./board.ts";
import { awaitVote, etcdctlArgs, killEtcd, startEtcd, storeArgs } from "./etcd.ts";
import { GuestBoard } from "./guest-board.ts";
import { createLan, type Lan, removeLan } from "./lan.ts";
import { NamespaceBoard } from "./namespace-board.ts";
import { CommandError, waitFor } from "./run.ts";

export interface ClusterPlan {
  readonly name: string;
  readonly prefix: string;
  readonly binary: string;
  readonly boards: readonly Board[];
}

/** An emulated machine first sorts out its own start. */
const guestMaster_s = 1_200;

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
    if (!existsSync(plan.binary)) throw new Error(`${plan.binary} is not there; \`npm run build\` makes it`);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "cluster.json"), JSON.stringify(plan, undefined, 2));
    const cluster = new Cluster(plan, dir);
    createLan(cluster.lan);
    // At the same time: a guest takes a minute.
    await Promise.all(
      plan.boards.map(async (board) => {
        say(`${board.name}: power on`);
        await cluster.host(board.name).powerOn();
      }),
    );
    await cluster.startMasters(say);
    const token = cluster.host("master-1").read("/var/lib/bramble/token")?.trim() ?? "";
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

  get masters(): Board[] {
    return this.plan.boards.filter((board) => board.role === "master");
  }

  /** Do masters share Bramble's own etcd, with a member on each? */
  get hasEtcd(): boolean {
    return storeArgs.every((arg) => this.masters[0]?.args.includes(arg));
  }

  startEtcd(board: string, extra: readonly string[] = []): void {
    startEtcd(this.host(board), extra);
  }

  killEtcd(board: string): void {
    killEtcd(this.host(board));
  }

  /** What etcdctl says on the first master. */
  etcdctl(...args: string[]): string {
    return this.host("master-1").exec([...etcdctlArgs(this.masters), ...args]);
  }

  host(name: string): BoardHost {
    const board = this.plan.boards.find((each) => each.name === name);
    if (!board)
      throw new Error(`no board named ${name}; there are: ${this.plan.boards.map((each) => each.name).join(", ")}`);
    const dir = join(this.dir, name);
    return board.machine === "guest"
      ? new GuestBoard(this.lan, board, dir, dirname(this.plan.binary))
      : new NamespaceBoard(this.lan, board, dir, this.plan.binary);
  }

  get hosts(): BoardHost[] {
    return this.plan.boards.map((board) => this.host(board.name));
  }

  /** Where a file of a board of namespaces lies on this machine. */
  file(board: string, path: string): string {
    return join(this.dir, board, "root", path);
  }

  copyKubeconfig(to: string): void {
    writeFileSync(to, kubeconfigOf(this.host("master-1")) ?? "", { mode: 0o600 });
  }

  async load(archive: string, say: (line: string) => void): Promise<void> {
    await Promise.all(
      this.hosts.map(async (host) => {
        const child = Bun.spawn({
          cmd: host.inside(runtimeTool(host.board).load),
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
    await Promise.all(
      this.hosts.map(async (host) => {
        await host.remove();
        say(`${host.board.name}: off`);
      }),
    );
    removeLan(this.lan);
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** The first one makes the cluster; the others join it with a token of its. */
  private async startMasters(say: (line: string) => void): Promise<void> {
    let joining: string[] = [];
    for (const board of this.masters) {
      const host = this.host(board.name);
      if (this.hasEtcd && !board.args.includes("--as-pods")) this.startEtcd(board.name, joining);
      host.startBramble(joining);
      await this.ready(board);
      if (this.hasEtcd) awaitVote(host);
      say(`${board.name}: API server ready`);
      if (joining.length > 0 || !this.hasEtcd) continue;
      joining = ["--token", host.exec([host.binary, "token", "create", "--master"]).trim()];
    }
  }

  /** Until a master's API server is ready. */
  async ready(board: Board): Promise<void> {
    const host = this.host(board.name);
    const patience_s = board.machine === "guest" ? guestMaster_s : 120;
    await waitFor(`${board.name}: API server (log: ${join(host.dir, "bramble.log")})`, patience_s, async () => {
      if (host.bramblePid === undefined) return undefined;
      const answer = await fetch(`https://${inUrl(board.address)}:6443/readyz`, {
        tls: { rejectUnauthorized: false },
      }).catch(() => undefined);
      return (answer?.ok && kubeconfigOf(host) !== undefined) || undefined;
    });
  }
}

/** What a master wrote for its administrator, wherever it was told to. */
function kubeconfigOf(host: BoardHost): string | undefined {
  const { args } = host.board;
  const flag = args.indexOf("--write-kubeconfig");
  if (flag < 0) return host.read("/etc/bramble/kubeconfig.yaml");
  try {
    return host.exec(["cat", args[flag + 1] ?? ""]);
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}
