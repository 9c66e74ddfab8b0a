/**
 * Looking into a master's store from a shell of its board: through a socket that only root may open while the master
 * runs, else in the file itself. Values are what the API server stored, decrypted unless they are asked for as they rest.
 */
import { chmodSync, existsSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { messageOf } from "#shared/api/joined-errors.ts";
import { encryptedPrefixes } from "./encryption-keys.ts";
import { compareKeys } from "./key-order.ts";
import { restingTransformer } from "./resting-values.ts";
import { SqliteEngine } from "./sqlite-engine.ts";
import type { SqliteOptions } from "./sqlite-messages.ts";
import type { Store, StoredValue } from "./store.ts";
import { plainText } from "./value-transformer.ts";

export interface StoreQuery {
  readonly key: string;
  /** All keys that begin with it. */
  readonly prefix: boolean;
  /** Of a prefix (ListRange). */
  readonly asItRests?: boolean;
}

/** Asks for everything that is encrypted to be written once more (rewrite.ts). */
interface RewriteRequest {
  readonly rewrite: readonly string[];
}

/** A line in the place of an answer. */
type Refusal = { readonly error: string };

/** Nobody here has the store for whoever asks; the message says what to do. */
class StoreAwayError extends Error {
  override readonly name = "UserError";
}

const PAGE = 500;
const LONGEST_QUERY = 4096;

/** Answers queries on a Unix socket (mode 0600): one JSON line in, one JSON line an object out. */
export async function serveStoreAdmin(store: Store, socketPath: string): Promise<{ stop(): Promise<void> }> {
  rmSync(socketPath, { force: true });
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    let text = "";
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > LONGEST_QUERY) socket.destroy();
      const end = text.indexOf("\n");
      if (end < 0) return;
      socket.pause();
      answer(store, socket, text.slice(0, end)).catch((error: unknown) => {
        socket.end(`${JSON.stringify({ error: messageOf(error) })}\n`);
      });
    });
  });
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath, resolve);
    });
  } finally {
    process.umask(umask);
  }
  chmodSync(socketPath, 0o600);
  return {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // One that reads no further would hold up the master's end.
        for (const client of clients) client.destroy();
        rmSync(socketPath, { force: true });
      }),
  };
}

async function answer(store: Store, socket: Socket, line: string): Promise<void> {
  const query = JSON.parse(line) as StoreQuery | RewriteRequest;
  if ("rewrite" in query) {
    const { rewriteValues } = await import("./rewrite.ts");
    socket.end(`${JSON.stringify({ rewritten: await rewriteValues(store, query.rewrite) })}\n`);
    return;
  }
  const lookUp = (key: string): Promise<StoredValue | undefined> => store.get(key);
  const list = async (prefix: string, startAfter: string | undefined, revision: number | undefined) =>
    store.list(prefix, { limit: PAGE, startAfter, revision, asItRests: query.asItRests });
  for await (const value of select(query, lookUp, list)) {
    if (!socket.write(`${JSON.stringify(value)}\n`)) await drained(socket);
    if (socket.destroyed) return;
  }
  socket.end();
}

/** Resolves when the client has taken what was written, or has gone. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}

type List = (
  prefix: string,
  startAfter: string | undefined,
  revision: number | undefined,
) => Promise<{ readonly items: readonly StoredValue[]; readonly revision: number; readonly more: boolean }>;

async function* select(
  { key, prefix }: StoreQuery,
  lookUp: (key: string) => Promise<StoredValue | undefined>,
  list: List,
): AsyncGenerator<StoredValue> {
  if (!prefix) {
    const value = await lookUp(key);
    if (value) yield value;
    return;
  }
  let last: string | undefined;
  let revision: number | undefined;
  for (;;) {
    const page = await list(key, last, revision);
    yield* page.items;
    if (!page.more) return;
    last = page.items.at(-1)?.key;
    revision = page.revision;
  }
}

export interface StoreFiles {
  /** Of the running master. */
  readonly socketPath: string;
  /** Read where no master answers. */
  readonly path: string;
  readonly encryption?: SqliteOptions["encryption"];
}

/** The values that a query selects, in key order. Throws StoreAwayError when neither a master nor a file is there. */
export async function* queryStore(files: StoreFiles, query: StoreQuery): AsyncGenerator<StoredValue> {
  const socket = await connectTo(files.socketPath);
  if (socket) yield* askMaster(socket, query);
  else yield* readFile(files, query);
}

/** undefined where nobody listens. Rejects with StoreAwayError for who may not ask. */
function connectTo(socketPath: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once("connect", () => resolve(socket));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
      else if (error.code === "EACCES")
        reject(new StoreAwayError(`${socketPath} is root's: put sudo before the command`));
      else reject(error);
    });
  });
}

/** Has the running master write all that is encrypted once more; gives the number of values. Throws StoreAwayError where none
 *  runs. */
export async function rewriteThrough(socketPath: string): Promise<number> {
  const socket = await connectTo(socketPath);
  if (!socket)
    throw new StoreAwayError(
      `no master runs here: nobody answers at ${socketPath}. Start it, then run the command again`,
    );
  const request: RewriteRequest = { rewrite: encryptedPrefixes };
  for await (const answer of ask<{ readonly rewritten: number }>(socket, request)) return answer.rewritten;
  throw new StoreAwayError("the master ended before all was written: run the command again");
}

const askMaster = (socket: Socket, query: StoreQuery): AsyncGenerator<StoredValue> => ask(socket, query);

async function* ask<T extends object>(socket: Socket, query: StoreQuery | RewriteRequest): AsyncGenerator<T> {
  socket.write(`${JSON.stringify(query)}\n`);
  socket.setEncoding("utf8");
  let rest = "";
  try {
    for await (const chunk of socket as AsyncIterable<string>) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const value = JSON.parse(line) as T | Refusal;
        if ("error" in value) throw new Error(value.error);
        yield value;
      }
    }
  } finally {
    socket.destroy();
  }
}

async function* readFile({ path, encryption }: StoreFiles, query: StoreQuery): AsyncGenerator<StoredValue> {
  if (!existsSync(path))
    throw new StoreAwayError(
      `no master runs here, and there is no store at ${path}: run this on a master as root (of a stopped master whose state is in etcd, etcdctl shows it)`,
    );
  const opens = encryption && !query.asItRests && existsSync(encryption.keyFile);
  const transformer = opens ? restingTransformer(encryption) : plainText;
  const engine = SqliteEngine.openReadOnly(path, transformer);
  try {
    const batched = engine.batched();
    const matching = batched.filter(({ key }) => (query.prefix ? key.startsWith(query.key) : key === query.key));
    const durable = query.prefix
      ? engine.list(query.key, { now: engine.newest() }).items
      : [engine.get(query.key)].filter((value) => value !== undefined);
    yield* [...durable, ...matching].sort((a, b) => compareKeys(a.key, b.key));
  } finally {
    engine.closeReader();
  }
}
