import { dlopen, FFIType, ptr } from "bun:ffi";
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../client/log.ts";
import { until } from "../testing/until.ts";
import { startWatchdog, type Watchdog } from "./watchdog.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});
const DO_NOT_WAIT = 0x40;

/** A socket of datagrams such as systemd's; `received` gives the next one, if there is any. */
function listen(name: string): { received(): string | undefined } {
  const socket = libc.socket(1, 2, 0);
  const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(name.replace(/^@/, "\0"))]);
  expect(libc.bind(socket, ptr(address), address.length)).toBe(0);
  ends.push(() => void libc.close(socket));
  const space = Buffer.alloc(100);
  return {
    received() {
      const length = Number(libc.recv(socket, ptr(space), BigInt(space.length), DO_NOT_WAIT));
      return length < 0 ? undefined : space.toString("utf8", 0, length);
    },
  };
}

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function started(environment: Readonly<Record<string, string>>, notify?: (message: string) => void): Watchdog {
  const watchdog = startWatchdog(silentLog, environment, notify);
  ends.push(() => watchdog.stop());
  return watchdog;
}

const limit = { WATCHDOG_USEC: "20000", WATCHDOG_PID: String(process.pid) };

test("systemd's socket is told again and again, be it a file or only a name", async () => {
  const folder = mkdtempSync(join(tmpdir(), "watchdog-"));
  ends.push(() => rmSync(folder, { recursive: true }));
  for (const name of [join(folder, "notify"), `@bramble-watchdog-${process.pid}`]) {
    const systemd = listen(name);
    const watchdog = started({ ...limit, NOTIFY_SOCKET: name });
    for (const _ of ["first", "second"]) expect(await until("it is told", () => systemd.received())).toBe("WATCHDOG=1");
    watchdog.stop();
  }
});

test("nobody is told while a check does not answer; one that fails has answered", async () => {
  const told: string[] = [];
  const watchdog = started({ ...limit, NOTIFY_SOCKET: "/anywhere" }, (message) => void told.push(message));
  watchdog.ask(() => Promise.reject(new Error("full")));
  watchdog.ask(() => {
    throw new Error("closed");
  });
  await until("it is told", () => told.length > 0);
  let answer: (() => void) | undefined;
  watchdog.ask(() => new Promise<void>((resolve) => (answer = resolve)));
  await until("it is told", () => answer);
  const before = told.length;
  await Bun.sleep(100);
  expect(told.length).toBe(before);
  answer?.();
  await until("it is told", () => told.length > before);
});

test("without a limit, or one for another process, nothing is told", async () => {
  const told: string[] = [];
  const notify = (message: string): void => void told.push(message);
  started({ NOTIFY_SOCKET: "/anywhere" }, notify);
  started({ ...limit }, notify);
  started({ ...limit, NOTIFY_SOCKET: "/anywhere", WATCHDOG_PID: "1" }, notify);
  await Bun.sleep(60);
  expect(told).toEqual([]);
});
