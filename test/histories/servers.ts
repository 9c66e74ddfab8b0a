/** API servers as they are run, in processes of their own, over SQLite or over one etcd, and what befalls them. */
import { cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { until } from "#shared/testing/until.ts";
import { EtcdServers } from "../../master/store/etcd/testing/etcd-server.ts";
import { databaseOf } from "../../master/store/store-choice.ts";
import type { Change } from "./history.ts";
import type { Address } from "./server-call.ts";
import { SilentLink } from "./silent-link.ts";
import { EtcdLog, SqliteLog } from "./store-log.ts";

const bramble = resolve(import.meta.dir, "../../bramble.ts");

const SERVERS_ON_ETCD = 2;

/** Revisions that a compaction leaves: few enough that resumed watches and chunks meet it. */
const KEPT_REVISIONS = 30;

/** One server with a folder and a port of its own, which it keeps over its restarts. */
class ServerProcess {
  #child: Bun.Subprocess | undefined;
  #started = Promise.withResolvers<void>();
  #up: Promise<void> = Promise.resolve();

  private constructor(
    readonly folder: string,
    readonly port: number,
    readonly arguments_: readonly string[],
  ) {}

  static async make(folder: string, ...more: readonly string[]): Promise<ServerProcess> {
    mkdirSync(folder, { recursive: true });
    const [port, mqttPort] = [await freePort(), await freePort()];
    writeFileSync(join(folder, "none.yaml"), "");
    return new ServerProcess(folder, port, [
      "--no-agent",
      `--config=${folder}/none.yaml`,
      `--data-dir=${folder}/data`,
      `--run-dir=${folder}/run`,
      `--write-kubeconfig=${folder}/admin.yaml`,
      `--https-port=${port}`,
      `--mqtt-port=${mqttPort}`,
      ...more,
    ]);
  }

  start(): void {
    const log = openSync(join(this.folder, "log"), "a");
    this.#child = Bun.spawn({
      cmd: [process.execPath, bramble, "master", "--backup-schedule=", ...this.arguments_],
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    const child = this.#child;
    const ended = child.exited.then(() => {
      // Whoever killed it waits for the next one.
      if (child.signalCode !== "SIGKILL") throw new Error(`the server has ended: ${this.log.slice(-3000)}`);
    });
    this.#up = Promise.race([ended, this.#ready()]);
    // Whoever asks for it hears of it.
    this.#up.catch(() => undefined);
    this.#started.resolve();
  }

  async #ready(): Promise<void> {
    await until(
      `the server at ${this.port} is ready`,
      async () => {
        const { url, credentials } = this.address;
        const client = new HttpClient({ servers: [url], credentials: () => credentials });
        await client.raw({ method: "GET", path: "/readyz" });
        return true;
      },
      { tell: () => this.log.slice(-3000) },
    );
  }

  get address(): Address {
    const { credentials } = loadKubeconfig(join(this.folder, "admin.yaml"));
    return { url: `https://127.0.0.1:${this.port}`, credentials: credentials() };
  }

  get log(): string {
    return readFileSync(join(this.folder, "log"), "utf8");
  }

  /** Where it is, once it serves; after a kill that is after the next start. */
  async up(): Promise<Address> {
    await this.#started.promise;
    await this.#up;
    return this.address;
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    this.#started = Promise.withResolvers();
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }
}

/** Servers over one store. */
export interface Servers {
  readonly count: number;
  addressOf(server: number): Promise<Address>;
  /** SIGKILL and a restart on the same data, with a compaction between where only that can be done then. */
  kill(server: number): Promise<void>;
  /** SIGKILL of what keeps the state, and a restart on the same data. */
  killStore(): Promise<void>;
  /** The whole process stands still for so long. */
  freeze(server: number, duration_ms: number): Promise<void>;
  /** Nothing passes between the server and what keeps its state for so long. */
  split(server: number, duration_ms: number): Promise<void>;
  /** Forgets all but the newest history. */
  compact(): Promise<void>;
  /** Ends the servers and gives what was committed. */
  end(): Promise<Change[]>;
  log(): string;
  /** Ends what still runs, and leaves nothing. */
  remove(): Promise<void>;
}

abstract class ServersOnOneStore implements Servers {
  protected readonly servers: ServerProcess[] = [];
  protected readonly folder = mkdtempSync(join(tmpdir(), "bramble-histories-"));

  get count(): number {
    return this.servers.length;
  }

  addressOf(server: number): Promise<Address> {
    return this.at(server).up();
  }

  protected at(server: number): ServerProcess {
    const found = this.servers[server];
    if (!found) throw new Error(`no server ${server}`);
    return found;
  }

  async freeze(server: number, duration_ms: number): Promise<void> {
    this.at(server).signal("SIGSTOP");
    await Bun.sleep(duration_ms);
    this.at(server).signal("SIGCONT");
  }

  log(): string {
    return this.servers.map((server, index) => `--- server ${index}\n${server.log.slice(-4000)}`).join("\n");
  }

  async remove(): Promise<void> {
    for (const server of this.servers) await server.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  abstract kill(server: number): Promise<void>;
  abstract killStore(): Promise<void>;
  abstract split(server: number, duration_ms: number): Promise<void>;
  abstract compact(): Promise<void>;
  abstract end(): Promise<Change[]>;
}

class ServerOnSqlite extends ServersOnOneStore {
  #log: SqliteLog | undefined;

  async start(): Promise<void> {
    const server = await ServerProcess.make(join(this.folder, "0"));
    this.servers.push(server);
    this.#log = new SqliteLog(databaseOf({ dataDir: join(server.folder, "data") }), this.folder);
    server.start();
    await server.up();
  }

  async kill(server: number): Promise<void> {
    await this.at(server).kill();
    this.#log?.take();
    this.at(server).start();
  }

  /** It is a thread of the server. */
  killStore(): Promise<void> {
    return this.kill(0);
  }

  /** Nothing lies between: both stand still. */
  split(server: number, duration_ms: number): Promise<void> {
    return this.freeze(server, duration_ms);
  }

  /** Between a kill and a start: nobody else may open the file of a server that runs. */
  async compact(): Promise<void> {
    await this.at(0).kill();
    this.#log?.take();
    this.#log?.compact(KEPT_REVISIONS);
    this.at(0).start();
  }

  async end(): Promise<Change[]> {
    await this.at(0).kill();
    this.#log?.take();
    return this.#log?.changes ?? [];
  }
}

class ServersOnEtcd extends ServersOnOneStore {
  readonly #links: SilentLink[] = [];
  #etcd: EtcdServers | undefined;
  #log: EtcdLog | undefined;

  async start(): Promise<void> {
    const etcd = await EtcdServers.start();
    this.#etcd = etcd;
    this.#log = new EtcdLog(etcd);
    const flags = [
      `--etcd-cafile=${join(etcd.folder, "ca.crt")}`,
      `--etcd-certfile=${join(etcd.folder, "client.crt")}`,
      `--etcd-keyfile=${join(etcd.folder, "client.key")}`,
    ];
    for (let index = 0; index < SERVERS_ON_ETCD; index += 1) {
      const link = await SilentLink.start(Number(new URL(etcd.endpoints[0] ?? "").port));
      this.#links.push(link);
      const store = `--store=etcd=https://127.0.0.1:${link.port}`;
      const server = await ServerProcess.make(join(this.folder, String(index)), store, ...flags);
      const first = this.servers[0];
      // Masters of one cluster have its authorities and keys in common.
      if (first) cpSync(join(first.folder, "data"), join(server.folder, "data"), { recursive: true });
      this.servers.push(server);
      server.start();
      await server.up();
    }
  }

  async kill(server: number): Promise<void> {
    await this.at(server).kill();
    this.at(server).start();
  }

  async killStore(): Promise<void> {
    for (const { name } of this.#etcd?.members ?? []) {
      await this.#etcd?.kill(name);
      this.#etcd?.run(name);
    }
    await this.#etcd?.healthy();
  }

  async split(server: number, duration_ms: number): Promise<void> {
    await this.#links[server]?.silence(duration_ms);
  }

  async compact(): Promise<void> {
    await this.#log?.take();
    this.#log?.compact(KEPT_REVISIONS);
  }

  async end(): Promise<Change[]> {
    for (const server of this.servers) await server.kill();
    await this.#log?.take();
    return this.#log?.changes ?? [];
  }

  override async remove(): Promise<void> {
    await super.remove();
    for (const link of this.#links) link.stop();
    await this.#log?.stop();
    await this.#etcd?.stop();
  }
}

export type StoreKind = "sqlite" | "etcd";

/** A master on SQLite, or two on one etcd. */
export async function startServers(kind: StoreKind): Promise<Servers> {
  const servers = kind === "sqlite" ? new ServerOnSqlite() : new ServersOnEtcd();
  try {
    await servers.start();
  } catch (error) {
    await servers.remove();
    throw error;
  }
  return servers;
}
