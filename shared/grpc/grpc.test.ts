import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GrpcChannel } from "./channel.ts";
import { GrpcDoor } from "./door.ts";
import { GrpcCode, GrpcError } from "./grpc-error.ts";
import { integer, message, nested, repeated, string } from "./message.ts";
import { GrpcServer, type GrpcServerOptions, type ServerCall } from "./server.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-grpc-"));
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let sockets = 0;
const socketPath = (): string => join(folder, `${++sockets} ü.sock`);
const unixUrl = (path: string): URL => new URL(`unix://${encodeURI(path)}`);

function channelTo(endpoint: URL, options: Partial<ConstructorParameters<typeof GrpcChannel>[0]> = {}): GrpcChannel {
  const channel = new GrpcChannel({ endpoint, ...options });
  ends.push(() => channel.close());
  return channel;
}

const Text = message({ text: string(1), times: integer(2) });

/** Echo, a stream that ends, one that never does, and every way to fail. */
function methods(seen: { calls: ServerCall[]; produced: number }): GrpcServerOptions {
  return {
    unary: {
      "/t.T/Echo": (request) => request,
      "/t.T/Refuse": () => {
        throw new GrpcError(GrpcCode.FailedPrecondition, "50% größer\nthan allowed", true);
      },
      "/t.T/Break": () => {
        throw new Error("broke");
      },
      "/t.T/Hang": (_, call) => {
        seen.calls.push(call);
        return new Promise(() => undefined);
      },
    },
    streams: {
      "/t.T/Repeat": async function* (request) {
        const { text, times } = Text.decode(request);
        for (let at = 0; at < times; at++) yield Text.encode({ text, times: at });
      },
      "/t.T/Forever": async function* (_, call) {
        seen.calls.push(call);
        for (;;) {
          seen.produced += 1;
          yield Buffer.alloc(64 * 1024);
        }
      },
      "/t.T/FailLate": async function* () {
        yield Text.encode({ text: "first" });
        throw new GrpcError(GrpcCode.Aborted, "later", true);
      },
    },
  };
}

for (const transport of ["unix", "tcp"] as const) {
  describe(`our client and server over ${transport}`, () => {
    const seen = { calls: [] as ServerCall[], produced: 0 };
    async function start(): Promise<GrpcChannel> {
      const server = new GrpcServer(methods(seen));
      ends.push(() => server.stop());
      if (transport === "tcp") return channelTo(new URL(`http://127.0.0.1:${await server.listen(0, "127.0.0.1")}`));
      const path = socketPath();
      await server.listenUnix(path);
      return channelTo(unixUrl(path));
    }
    const failure = async (call: Promise<unknown>): Promise<GrpcError> => {
      const error = await call.then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(error).toBeInstanceOf(GrpcError);
      return error as GrpcError;
    };

    test("an answer is the request's, however long and however many at a time", async () => {
      const channel = await start();
      const long = Buffer.alloc(3 * 1024 * 1024, "x");
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, at) => channel.unary("/t.T/Echo", at === 3 ? long : Buffer.from([at]), 60_000)),
      );
      expect(answers.map((answer, at) => (at === 3 ? answer.equals(long) : answer[0] === at))).not.toContain(false);
      expect(await channel.unary("/t.T/Echo", Buffer.alloc(0), 60_000)).toHaveLength(0);
    });

    test("a status has its code and its whole text", async () => {
      const channel = await start();
      const refused = await failure(channel.unary("/t.T/Refuse", Buffer.alloc(0), 60_000));
      expect([refused.code, refused.message]).toEqual([GrpcCode.FailedPrecondition, "50% größer\nthan allowed"]);
      expect((await failure(channel.unary("/t.T/Break", Buffer.alloc(0), 60_000))).description).toBe(
        "rpc error: code = Unknown desc = broke",
      );
      const unknown = await failure(channel.unary("/t.T/constructor", Buffer.alloc(0), 60_000));
      expect(unknown.code).toBe(GrpcCode.Unimplemented);
    });

    test("messages beyond the limit end a call", async () => {
      const channel = await start();
      const tooLong = Buffer.alloc(5 * 1024 * 1024);
      expect((await failure(channel.unary("/t.T/Echo", tooLong, 60_000))).code).toBe(GrpcCode.ResourceExhausted);
      const small = channelTo(new URL(channel.endpoint), { longestMessage_bytes: 10 });
      expect((await failure(small.unary("/t.T/Echo", Buffer.alloc(11), 60_000))).code).toBe(GrpcCode.ResourceExhausted);
    });

    test("a deadline ends the call at both sides", async () => {
      const channel = await start();
      // Connected before: what takes time then is the call alone.
      await channel.unary("/t.T/Echo", Buffer.alloc(0), 60_000);
      const late = await failure(channel.unary("/t.T/Hang", Buffer.alloc(0), 300));
      expect([late.code, late.mayHaveArrived]).toEqual([GrpcCode.DeadlineExceeded, true]);
      // The server may not even have seen a call that ended so early; when it did, its signal tells.
      const call = seen.calls.pop();
      if (call && !call.signal.aborted)
        await new Promise((resolve) => call.signal.addEventListener("abort", resolve, { once: true }));
    });

    test("a cancelled call ends at both sides", async () => {
      const channel = await start();
      const abort = new AbortController();
      const call = failure(channel.unary("/t.T/Hang", Buffer.alloc(0), 60_000, { signal: abort.signal }));
      while (seen.calls.length === 0) await Bun.sleep(5);
      const { signal } = seen.calls.pop() as ServerCall;
      const ended = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      abort.abort();
      expect((await call).code).toBe(GrpcCode.Cancelled);
      await ended;
    });

    test("a stream has its messages in order, then its status", async () => {
      const channel = await start();
      const request = Text.encode({ text: "a", times: 500 });
      const times: number[] = [];
      for await (const answer of channel.serverStream("/t.T/Repeat", request)) times.push(Text.decode(answer).times);
      expect(times).toEqual(Array.from({ length: 500 }, (_, at) => at));
      const got: string[] = [];
      const late = await failure(
        (async () => {
          for await (const answer of channel.serverStream("/t.T/FailLate", Buffer.alloc(0)))
            got.push(Text.decode(answer).text);
        })(),
      );
      expect([got, late.code, late.message]).toEqual([["first"], GrpcCode.Aborted, "later"]);
    });

    test("a client that reads no further holds the server back, and leaving ends the call", async () => {
      const channel = await start();
      seen.produced = 0;
      const answers = channel.serverStream("/t.T/Forever", Buffer.alloc(0))[Symbol.asyncIterator]();
      expect((await answers.next()).value).toHaveLength(64 * 1024);
      let before = -1;
      while (before !== seen.produced) {
        before = seen.produced;
        await Bun.sleep(200);
      }
      expect(seen.produced).toBeLessThan(200);
      const { signal } = seen.calls.pop() as ServerCall;
      await answers.return?.(undefined);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    });

    test("a server that stopped is found again when it is back", async () => {
      const path = socketPath();
      const first = new GrpcServer(methods(seen));
      await first.listenUnix(path);
      const channel = channelTo(unixUrl(path));
      await channel.unary("/t.T/Echo", Buffer.alloc(1), 60_000);
      await first.stop();
      expect(existsSync(path)).toBe(false);
      const gone = await failure(channel.unary("/t.T/Echo", Buffer.alloc(1), 60_000));
      expect(gone.code).toBe(GrpcCode.Unavailable);
      const second = new GrpcServer(methods(seen));
      ends.push(() => second.stop());
      await second.listenUnix(path);
      expect(await channel.unary("/t.T/Echo", Buffer.from("x"), 60_000)).toEqual(Buffer.from("x"));
    });
  });
}

test("a door has no server until somebody comes, then serves as one", async () => {
  const path = socketPath();
  let made = 0;
  const door = new GrpcDoor(
    async () => {
      made += 1;
      await Bun.sleep(20);
      return new GrpcServer(methods({ calls: [], produced: 0 }));
    },
    (error) => {
      throw error;
    },
  );
  ends.push(() => door.stop());
  await door.listen(path);
  expect(made).toBe(0);
  const channels = [channelTo(unixUrl(path)), channelTo(unixUrl(path))];
  const long = Buffer.alloc(300_000, "x");
  const answers = await Promise.all(channels.map((channel) => channel.unary("/t.T/Echo", long, 60_000)));
  expect(answers.every((answer) => answer.equals(long))).toBe(true);
  expect(made).toBe(1);
});

describe("a server that is not there", () => {
  test("no socket, nobody at it, and one that says nothing", async () => {
    const path = socketPath();
    const nobody = await channelTo(unixUrl(path))
      .unary("/t.T/Echo", Buffer.alloc(0), 5_000)
      .catch((error: unknown) => error);
    expect(nobody).toMatchObject({ code: GrpcCode.Unavailable, mayHaveArrived: false });
    const held: Socket[] = [];
    const mute = createServer((socket) => void held.push(socket));
    await new Promise<void>((resolve) => mute.listen(path, resolve));
    ends.push(() => {
      for (const socket of held) socket.destroy();
      mute.close();
    });
    const silent = await channelTo(unixUrl(path))
      .unary("/t.T/Echo", Buffer.alloc(0), 500)
      .catch((error: unknown) => error);
    expect(silent).toMatchObject({ code: GrpcCode.DeadlineExceeded });
  });
});

const KeyValue = message({ key: string(1), value: string(5) });
const RangeRequest = message({ key: string(1) });
const RangeResponse = message({ kvs: repeated(2, KeyValue), count: integer(4) });
const PutRequest = message({ key: string(1), value: string(2) });
const WatchRequest = message({ create: nested(1, message({ key: string(1) })) });
const SnapshotResponse = message({ remaining_bytes: integer(2), blob: string(3) });

describe("Go's side of it", () => {
  // Short: a socket's path has 108 bytes at most.
  const etcdSocket = join(folder, "e:1");
  let etcd: Bun.Subprocess;
  beforeAll(async () => {
    const log = openSync(join(folder, "etcd.log"), "a");
    etcd = Bun.spawn({
      cmd: [
        "etcd",
        `--data-dir=${join(folder, "data")}`,
        "--listen-client-urls=unix://e:1",
        "--advertise-client-urls=unix://e:1",
        "--listen-peer-urls=http://127.0.0.1:0",
      ],
      cwd: folder,
      env: { ...process.env, ETCD_UNSUPPORTED_ARCH: "arm64" },
      stdout: log,
      stderr: log,
    });
    while (!existsSync(etcdSocket)) {
      if (etcd.exitCode !== null) throw new Error(await Bun.file(join(folder, "etcd.log")).text());
      await Bun.sleep(50);
    }
  });
  afterAll(() => etcd.kill("SIGKILL"));

  test("a Go server on a unix socket: answers, statuses and a stream", async () => {
    const channel = channelTo(unixUrl(etcdSocket), { connect_ms: 60_000 });
    await channel.unary("/etcdserverpb.KV/Put", PutRequest.encode({ key: "a", value: "1" }), 60_000);
    const range = RangeResponse.decode(
      await channel.unary("/etcdserverpb.KV/Range", RangeRequest.encode({ key: "a" }), 60_000),
    );
    expect(range).toEqual({ kvs: [{ key: "a", value: "1" }], count: 1 });
    // Longer than a timer takes, and more milliseconds than the protocol has digits for.
    await channel.unary("/etcdserverpb.KV/Range", RangeRequest.encode({ key: "a" }), 5_000_000_000);
    const unknown = await channel.unary("/none.None/None", Buffer.alloc(0), 60_000).catch((error: unknown) => error);
    expect(unknown).toMatchObject({ code: GrpcCode.Unimplemented, message: "unknown service none.None" });
    const watch = await channel.stream("/etcdserverpb.Watch/Watch");
    watch.send(WatchRequest.encode({ create: { key: "a" } }));
    const answers = watch.messages[Symbol.asyncIterator]();
    expect((await answers.next()).done).toBe(false);
    await channel.unary("/etcdserverpb.KV/Put", PutRequest.encode({ key: "a", value: "2" }), 60_000);
    expect((await answers.next()).done).toBe(false);
    watch.cancel();
  });

  test("a Go client at our server on a unix socket: an answer, a status and a stream", async () => {
    const blob = "s".repeat(300_000);
    const server = new GrpcServer({
      unary: {
        "/etcdserverpb.KV/Range": (request) => {
          const { key } = RangeRequest.decode(request);
          if (key === "none") throw new GrpcError(GrpcCode.InvalidArgument, "no ütter way", true);
          return RangeResponse.encode({ kvs: [{ key, value: "from here" }], count: 1 });
        },
      },
      streams: {
        "/etcdserverpb.Maintenance/Snapshot": async function* () {
          for (const remaining_bytes of [2, 1, 0]) yield SnapshotResponse.encode({ remaining_bytes, blob });
        },
      },
    });
    ends.push(() => server.stop());
    await server.listenUnix(join(folder, "o:1"));
    const etcdctl = async (...args: string[]): Promise<string> => {
      const child = Bun.spawn({
        cmd: ["etcdctl", "--endpoints=unix://o:1", "--command-timeout=60s", ...args],
        cwd: folder,
        env: { ...process.env, ETCDCTL_API: "3" },
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
      await child.exited;
      return out + err;
    };
    expect(await etcdctl("get", "k")).toBe("k\nfrom here\n");
    expect(await etcdctl("get", "none")).toContain("no ütter way");
    // No database, which etcdctl says after it has all of it.
    expect(await etcdctl("snapshot", "save", "snap")).toContain(`checksum not found [bytes: ${3 * blob.length}]`);
  });
});
