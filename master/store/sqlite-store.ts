import { workerAddress } from "../worker-threads.ts";
import { StoreDamagedError } from "./database-file.ts";
import type { Outcome, Write } from "./engine.ts";
import { type EngineLink, EngineStore, errorOf, type ReadRequest } from "./engine-store.ts";
import {
  type CommittedRevisions,
  type FromWorker,
  flatWrites,
  readCommitted,
  type SqliteOptions,
  type ToWorker,
} from "./sqlite-messages.ts";
import type { Salvage } from "./sqlite-salvage.ts";
import { type Store, StoreUnavailableError } from "./store.ts";

export type { SqliteOptions } from "./sqlite-messages.ts";

/** The resources that need not wear a card on a single master. */
export const singleMasterRoutes = {
  volatile: ["/registry/leases/kube-node-lease/", "/registry/left-revision/"],
  batched: ["/registry/events/"],
  quiet: ["/registry/leases/"],
} as const;

const sqliteDefaults = {
  routes: singleMasterRoutes,
  historyFor_ms: 5 * 60_000,
  mayStay: 1_000,
  maxHistory: 50_000,
  batchEvery_ms: 10 * 60_000,
} as const;

/** Opens the store in a file, in a thread of its own. Rejects with StoreDamagedError for a file that is not as it was
 *  written, with StoreUnavailableError for one that cannot be opened. `onLost` hears that an open one can go on no more: only
 *  opening it anew shows what the disk has of it. */
export async function openSqliteStore(
  options: Pick<SqliteOptions, "path"> & Partial<SqliteOptions>,
  onLost?: (error: Error) => void,
): Promise<Store> {
  const link = new WorkerLink(onLost);
  await link.open({ ...sqliteDefaults, ...options });
  return new EngineStore(link);
}

/** Builds what can be read of a damaged store at `nextOf(path)`, in a thread of its own. */
export async function salvageSqliteStore(path: string): Promise<Salvage> {
  const link = new WorkerLink();
  try {
    return await link.salvage(path);
  } finally {
    await link.close();
  }
}

const isFlat = (message: FromWorker): message is CommittedRevisions => Array.isArray(message);

interface Reader {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

class WorkerLink implements EngineLink {
  readonly #worker = new Worker(workerAddress("sqlite"));
  readonly #readers = new Map<number, Reader>();
  #nextRead = 1;
  #onOutcomes: (outcomes: readonly Outcome[]) => void = () => undefined;
  #onLost: (error: Error) => void = () => undefined;
  readonly #tellOwner: ((error: Error) => void) | undefined;
  #opened: PromiseWithResolvers<void> | undefined;
  #salvaged: PromiseWithResolvers<Salvage> | undefined;
  #closed: (() => void) | undefined;

  constructor(tellOwner?: (error: Error) => void) {
    this.#tellOwner = tellOwner;
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => this.#hear(event.data);
    this.#worker.onerror = (event) =>
      this.#lose(new StoreUnavailableError(`the store's thread died: ${event.message}`));
  }

  open(options: SqliteOptions): Promise<void> {
    this.#opened = Promise.withResolvers();
    this.#say({ type: "open", options });
    return this.#opened.promise;
  }

  salvage(path: string): Promise<Salvage> {
    this.#salvaged = Promise.withResolvers();
    this.#say({ type: "salvage", path });
    return this.#salvaged.promise;
  }

  start(onOutcomes: (outcomes: readonly Outcome[]) => void, onLost: (error: Error) => void): void {
    this.#onOutcomes = onOutcomes;
    this.#onLost = onLost;
  }

  commit(writes: readonly Write[], underWay: number): void {
    this.#say(flatWrites(writes, underWay));
  }

  read(request: ReadRequest): Promise<unknown> {
    const id = this.#nextRead;
    this.#nextRead += 1;
    return new Promise((resolve, reject) => {
      this.#readers.set(id, { resolve, reject });
      this.#say({ type: "read", id, request });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = () => {
        this.#worker.terminate();
        // Those that were asked before the end have been answered.
        this.#refuseReaders(new StoreUnavailableError("the store is closed"));
        resolve();
      };
      this.#say({ type: "close" });
    });
  }

  #say(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #hear(message: FromWorker): void {
    if (isFlat(message)) {
      this.#onOutcomes(readCommitted(message));
      return;
    }
    switch (message.type) {
      case "outcomes":
        this.#onOutcomes(message.outcomes);
        break;
      case "reply":
        this.#take(message.id)?.resolve(message.value);
        break;
      case "refusal":
        this.#take(message.id)?.reject(errorOf(message.failure));
        break;
      case "opened":
        this.#opened?.resolve();
        break;
      case "salvaged":
        this.#salvaged?.resolve(message.salvage);
        break;
      case "damaged":
        this.#fail(new StoreDamagedError(message.path, message.what, message.isOlder));
        break;
      case "failed":
        this.#fail(new StoreUnavailableError(message.message));
        break;
      case "closed":
        this.#closed?.();
        break;
    }
  }

  #take(id: number): Reader | undefined {
    const reader = this.#readers.get(id);
    this.#readers.delete(id);
    return reader;
  }

  #refuseReaders(error: Error): void {
    for (const reader of this.#readers.values()) reader.reject(error);
    this.#readers.clear();
  }

  #lose(error: Error): void {
    this.#refuseReaders(error);
    this.#opened?.reject(error);
    this.#salvaged?.reject(error);
    this.#onLost(error);
    this.#tellOwner?.(error);
  }

  /** Before it was open. */
  #fail(error: Error): void {
    if (this.#opened) this.#worker.terminate();
    this.#opened?.reject(error);
    this.#salvaged?.reject(error);
  }
}
