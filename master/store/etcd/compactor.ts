/**
 * Keeps etcd's history short. All masters meet at one key, the one that upstream's API servers use, so that one of them
 * compacts in each period and history is kept for one to two periods.
 */
import type { Log } from "#shared/client/log.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import type { Revision } from "../store.ts";
import type { EtcdCluster } from "./cluster.ts";
import {
  decodeGuardedResult,
  decodeRange,
  decodeWatch,
  encodeCompact,
  encodeGuardedWrite,
  encodeRange,
  encodeWatchCreation,
  paths,
} from "./messages.ts";

export const compactionKey = "compact_rev_key";

const everyDefault_ms = 5 * 60_000;
const attempt_ms = 5_000;

export class Compactor {
  readonly #cluster: EtcdCluster;
  readonly #log: Log;
  readonly #every_ms: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  /** The key's last change as it was a period ago, and etcd's revision then. */
  #before: { readonly modRevision: number; readonly revision: Revision } | undefined;

  constructor(cluster: EtcdCluster, log: Log, every_ms = everyDefault_ms) {
    this.#cluster = cluster;
    this.#log = log;
    this.#every_ms = every_ms;
  }

  /** Something was written, so there will be something to forget. */
  noteChange(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#round()
        .catch((error: unknown) => this.#log.info("etcd was not compacted; it will be later", { error }))
        .finally(() => {
          this.#timer = undefined;
        });
    }, this.#every_ms);
  }

  async #round(): Promise<void> {
    const { kvs, revision } = decodeRange(await this.#cluster.read(paths.range, encodeRange({ key: compactionKey })));
    const modRevision = kvs[0]?.modRevision ?? 0;
    const before = this.#before;
    this.#before = { modRevision, revision };
    // Another one did it in this period, or this is our first look.
    if (!before || before.modRevision !== modRevision) return;
    const claim = encodeGuardedWrite({ key: compactionKey, expected: modRevision, value: String(before.revision) });
    const claimed = decodeGuardedResult(await this.#cluster.attempt(paths.txn, claim, attempt_ms));
    if (!claimed.succeeded) return;
    this.#before = { modRevision: claimed.revision, revision };
    await this.#cluster.attempt(paths.compact, encodeCompact(before.revision), attempt_ms);
  }

  /** The revision of the last compaction; only asked when there was one. etcd tells it to a watch that comes too late. */
  async compacted(): Promise<Revision> {
    const stream = await this.#cluster.stream(paths.watch);
    const timer = setTimeout(() => stream.cancel(), attempt_ms);
    try {
      stream.send(encodeWatchCreation({ key: compactionKey, startRevision: 1 }));
      for await (const message of stream.messages) {
        const { compactRevision } = decodeWatch(message);
        if (compactRevision > 0) return compactRevision;
      }
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
    } finally {
      clearTimeout(timer);
      stream.cancel();
    }
    return 0;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
