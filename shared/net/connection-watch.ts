import { dlopen, FFIType } from "bun:ffi";
import type { Socket } from "node:net";

/** From the kernel's headers, the same on every architecture: socket(7), tcp(7). */
const socketLevel = 1;
const tcpLevel = 6;
const option = { keepAlive: 9, keepIdle: 4, keepInterval: 5, userTimeout: 18 } as const;
const int_bytes = 4;

export interface ConnectionLimits {
  /** The other end counts as dead after so long without a sign of it. */
  readonly dead_ms: number;
  /** It is asked after so long without traffic, */
  readonly idle_s: number;
  /** and again so often. */
  readonly interval_s: number;
}

type Setsockopt = (fd: number, level: number, name: number, value: Int32Array, length: number) => number;
let setsockopt: Setsockopt | undefined;

/**
 * Lets the kernel find out that the other end of a TCP connection has lost power or its link, and close the socket within
 * the limits. The two kernels do it between them: a process that is starved, on either side, is not taken for dead, and
 * none has to wake for it.
 *
 * @returns false where the socket does not tell its descriptor or the kernel does not know the options. Then the kernel
 *   asks with `idle_s` alone, and how soon it gives up is its own business (tcp(7): after minutes).
 */
export function watchConnection(socket: Socket, limits: ConnectionLimits): boolean {
  const fd = descriptorOf(socket);
  const isWatched = fd !== undefined && setLimits(fd, limits);
  if (!isWatched) socket.setKeepAlive(true, limits.idle_s * 1000);
  return isWatched;
}

function setLimits(fd: number, { dead_ms, idle_s, interval_s }: ConnectionLimits): boolean {
  setsockopt ??= dlopen("libc.so.6", {
    setsockopt: {
      args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
      returns: FFIType.i32,
    },
  }).symbols.setsockopt;
  const call = setsockopt;
  const set = (level: number, name: number, value: number): boolean =>
    call(fd, level, name, Int32Array.of(value), int_bytes) === 0;
  return (
    set(socketLevel, option.keepAlive, 1) &&
    set(tcpLevel, option.keepIdle, idle_s) &&
    set(tcpLevel, option.keepInterval, interval_s) &&
    set(tcpLevel, option.userTimeout, dead_ms)
  );
}

/** Node's and Bun's sockets have it on their handle, which is not part of the documented interface. */
function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as { readonly _handle?: { readonly fd?: unknown } | null })._handle;
  return typeof handle?.fd === "number" && handle.fd >= 0 ? handle.fd : undefined;
}
