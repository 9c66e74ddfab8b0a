import { dlopen, FFIType } from "bun:ffi";
import { afterEach, expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { watchConnection } from "./connection-watch.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  getsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i32,
  },
});

/** What the kernel holds of a socket: level and name as in its headers. */
function socketOption(fd: number, level: number, name: number): number {
  const value = Int32Array.of(0);
  expect(libc.getsockopt(fd, level, name, value, Int32Array.of(4))).toBe(0);
  return value[0] as number;
}

const limits = { dead_ms: 45_000, idle_s: 20, interval_s: 5 };
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function connected(): Promise<Socket> {
  const server = createServer((socket) => ends.push(() => socket.destroy())).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  ends.push(
    () => socket.destroy(),
    () => server.close(),
  );
  await once(socket, "connect");
  return socket;
}

test("the kernel is told when to ask, how often, and when the other end counts as dead", async () => {
  const socket = await connected();
  expect(watchConnection(socket, limits)).toBe(true);
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  expect({
    keepAlive: socketOption(fd, 1, 9),
    idle_s: socketOption(fd, 6, 4),
    interval_s: socketOption(fd, 6, 5),
    userTimeout_ms: socketOption(fd, 6, 18),
  }).toEqual({ keepAlive: 1, idle_s: 20, interval_s: 5, userTimeout_ms: 45_000 });
});

test("a socket that does not tell its descriptor is asked by its own keepalive, and said not to be watched", () => {
  const asked: unknown[] = [];
  const socket = new (class extends Socket {
    override setKeepAlive(...settings: unknown[]): this {
      asked.push(settings);
      return this;
    }
  })();
  expect(watchConnection(socket, limits)).toBe(false);
  expect(asked).toEqual([[true, 20_000]]);
});
