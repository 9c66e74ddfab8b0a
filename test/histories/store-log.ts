/** What a store has committed, read from where it rests: no API server has a say in it. */
import { Database } from "bun:sqlite";
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { KubeObject } from "#shared/api/object.ts";
import { readLines } from "#shared/client/line-stream.ts";
import { until } from "#shared/testing/until.ts";
import type { EtcdServers } from "../../master/store/etcd/testing/etcd-server.ts";
import { SqliteEngine } from "../../master/store/sqlite-engine.ts";
import type { Change } from "./history.ts";
import { quotaKey, resources } from "./resources.ts";

/** Of what clients write, and of the quota. */
const isNoted = (key: string): boolean => key === quotaKey || resources.some(({ prefix }) => key.startsWith(prefix));

/** Collects the changes that histories are judged by, each once. */
class Changes {
  readonly #byRevision = new Map<number, Change>();

  note(revision: number, key: string, value: string | undefined): void {
    if (!isNoted(key)) return;
    const object = value === undefined ? undefined : (JSON.parse(value) as KubeObject);
    this.#byRevision.set(revision, { revision, key, object });
  }

  get inOrder(): Change[] {
    return [...this.#byRevision.values()].sort((one, other) => one.revision - other.revision);
  }
}

/** The log in SQLite's file, which can be read while no server has it open. */
export class SqliteLog {
  readonly #changes = new Changes();
  readonly #database: string;
  readonly #folder: string;
  #newest = 0;

  constructor(database: string, folder: string) {
    this.#database = database;
    this.#folder = folder;
  }

  /** Takes in what a server that was killed has left, from a copy: opening a file may change it. */
  take(): void {
    const copy = join(this.#folder, "copy.db");
    for (const end of ["", "-wal"])
      if (existsSync(this.#database + end)) copyFileSync(this.#database + end, copy + end);
    const database = new Database(copy);
    const rows = database
      .query<{ revision: number; key: string; value: string | null }, []>(
        "SELECT revision, key, CASE WHEN key LIKE '/registry/secrets/%' THEN NULL ELSE value END AS value FROM log",
      )
      .iterate();
    for (const { revision, key, value } of rows) {
      this.#changes.note(revision, key, value ?? undefined);
      this.#newest = Math.max(this.#newest, revision);
    }
    database.close();
  }

  /** Forgets all but the newest `kept` revisions, as the store does by itself after minutes. */
  compact(kept: number): void {
    const engine = SqliteEngine.open(this.#database);
    const to = this.#newest - kept;
    if (to > engine.oldest()) engine.compact(to);
    engine.close();
  }

  get changes(): Change[] {
    return this.#changes.inOrder;
  }
}

interface EtcdMessage {
  readonly Header: { readonly revision: number };
  readonly Canceled?: boolean;
  readonly Events: readonly {
    readonly type?: number;
    readonly kv: { readonly key: string; readonly value?: string; readonly mod_revision: number };
  }[];
}

/** Follows all of an etcd from its first revision on, by etcdctl. */
export class EtcdLog {
  readonly #changes = new Changes();
  readonly #servers: EtcdServers;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "ignore">;
  #reached = 0;
  #failure: string | undefined;

  constructor(servers: EtcdServers) {
    this.#servers = servers;
    this.#child = servers.follow();
    this.#read().catch((error: unknown) => {
      this.#failure = String(error);
    });
  }

  async #read(): Promise<void> {
    for await (const line of readLines(this.#child.stdout)) {
      const message = JSON.parse(line) as EtcdMessage;
      if (message.Canceled) throw new Error(`etcd ended the watch: ${line}`);
      for (const { type, kv } of message.Events) {
        const key = text(kv.key);
        this.#changes.note(kv.mod_revision, key, type === 1 ? undefined : text(kv.value ?? ""));
        this.#reached = kv.mod_revision;
      }
    }
  }

  /** Takes in all that was committed until now. */
  async take(): Promise<void> {
    const mark = await until("etcd takes a mark", () => markIn(this.#servers));
    await until("etcd's log is read", () => {
      if (this.#failure) throw new Error(this.#failure);
      return this.#reached >= mark;
    });
  }

  /** Forgets all but the newest `kept` revisions of those that are taken in. */
  compact(kept: number): void {
    const to = this.#reached - kept;
    if (to < 1) return;
    try {
      this.#servers.ctl("compact", String(to));
    } catch (error) {
      // An etcd that is down, or one that has forgotten more by itself, is as good.
      if (!/compacted|refused|exceeded|unavailable|EOF/i.test(String(error))) throw error;
    }
  }

  get changes(): Change[] {
    return this.#changes.inOrder;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

const text = (base64: string): string => Buffer.from(base64, "base64").toString();

/** Writes a key of its own, and gives the revision of that. */
function markIn(servers: EtcdServers): number {
  servers.ctl("put", "histories-mark", String(performance.now()));
  const { kvs } = JSON.parse(servers.ctl("get", "histories-mark", "-w", "json")) as {
    kvs: readonly { mod_revision: number }[];
  };
  return kvs[0]?.mod_revision ?? 0;
}
