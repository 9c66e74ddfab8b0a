import { dlopen, FFIType, ptr } from "bun:ffi";
import type { Log } from "../client/log.ts";

/**
 * Tells systemd that this process goes on, where its unit asks for that by WatchdogSec (sd_watchdog_enabled(3)): one whose event
 * loop stands still, or whose checks no longer answer, is ended and started anew. Nothing else on a board far away would do it.
 */
export interface Watchdog {
  /** From now on it is only told while this answers, whatever it answers: what fails is no reason to start anew. */
  ask(check: () => Promise<unknown>): void;
  stop(): void;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Whoever is told: a socket of systemd's. Throws when it cannot be. */
export type Notify = (message: string) => void;

/** @param environment what systemd gives a service: NOTIFY_SOCKET, WATCHDOG_USEC in microseconds, WATCHDOG_PID. */
export function startWatchdog(log: Log, environment: Environment = process.env, notify?: Notify): Watchdog {
  const { NOTIFY_SOCKET: path, WATCHDOG_USEC: limit_us, WATCHDOG_PID: pid } = environment;
  const limit_ms = Number(limit_us) / 1000;
  // What a program that this one started has inherited is not for it.
  const isMeant = pid === undefined || Number(pid) === process.pid;
  if (!path || !(limit_ms > 0) || !isMeant) return { ask: () => undefined, stop: () => undefined };
  const tell = notify ?? ((message: string) => sendTo(path, message));
  const checks: (() => Promise<unknown>)[] = [];
  let isAsking = false;
  const look = async (): Promise<void> => {
    // A check that has not answered since the last look has a say until it does.
    if (isAsking) return;
    isAsking = true;
    await Promise.allSettled(checks.map(async (check) => check()));
    isAsking = false;
    try {
      tell("WATCHDOG=1");
    } catch (error) {
      log.warn("systemd was not told that this process goes on", { error });
    }
  };
  const timer = setInterval(look, limit_ms / 2);
  timer.unref();
  return { ask: (check) => void checks.push(check), stop: () => clearInterval(timer) };
}

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
/** Who has no room for it is not waited for. */
const MSG_DONTWAIT = 0x40;

const openLibc = () =>
  dlopen("libc.so.6", {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    sendto: {
      args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
      returns: FFIType.i64,
    },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  }).symbols;
let libc: ReturnType<typeof openLibc> | undefined;

/** One datagram, as sd_notify(3) sends them: `@` begins a name that is no file's (unix(7)). */
function sendTo(path: string, message: string): void {
  libc ??= openLibc();
  const socket = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw new Error("no socket could be made");
  try {
    const family = Buffer.alloc(2);
    family.writeUInt16LE(AF_UNIX);
    const address = Buffer.concat([family, Buffer.from(path.replace(/^@/, "\0"))]);
    const bytes = Buffer.from(message);
    const sent = libc.sendto(socket, ptr(bytes), BigInt(bytes.length), MSG_DONTWAIT, ptr(address), address.length);
    if (Number(sent) !== bytes.length) throw new Error(`${path} does not take it`);
  } finally {
    libc.close(socket);
  }
}
