import { dlopen, FFIType, ptr, read } from "bun:ffi";
import { errnoName } from "./errno.ts";
import { HostError } from "./host.ts";

/** Flags of mount(2), from linux/mount.h; the same on every architecture. */
export const mountFlag = {
  readOnly: 1,
  noExec: 8,
  remount: 32,
  bind: 4096,
  recursive: 16384,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
} as const;

const unmountDetach = 2;
const unmountNoFollow = 8;
const openat2Call = 437;
const openPath = 0o10000000;
const resolveNoMagicLinks = 0x02;
const resolveBeneath = 0x08;
export const closeOnExec = 0o2000000;
const currentDirectory = -100;

const { symbols: libc } = dlopen("libc.so.6", {
  mount: {
    args: [FFIType.cstring, FFIType.cstring, FFIType.cstring, FFIType.u64, FFIType.cstring],
    returns: FFIType.i32,
  },
  umount2: { args: [FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
  setrlimit: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
  setns: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  getsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  poll: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  // openat2 has no wrapper in glibc. The last arguments are those of this one call.
  syscall: { args: [FFIType.i64, FFIType.i64, FFIType.cstring, FFIType.ptr, FFIType.u64], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
  __errno_location: { args: [], returns: FFIType.ptr },
});

/** A libc call that failed, as a value: the caller knows which path to blame. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly code: string;
  constructor(call: string, code: string) {
    super(`${call}: ${code}`);
    this.code = code;
  }
}

function errno(): number {
  const location = libc.__errno_location();
  return location === null ? 0 : read.i32(location, 0);
}

/** The name of the error that the last call ended with. */
export const errnoCode = (): string => errnoName(errno());

export function check(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, errnoCode());
  return result;
}

const cString = (text: string): Buffer => Buffer.from(`${text}\0`);

export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  check("mount", libc.mount(cString(source), cString(target), cString(type), BigInt(flags), cString(data)));
}

const RLIMIT_NOFILE = 7;

/** How many files this process may have open. */
export function limitOpenFiles(most: number): void {
  // struct rlimit: the limit that counts, and the one up to which it may be raised; 64 bits each.
  const limits = new BigUint64Array([BigInt(most), BigInt(most)]);
  check("setrlimit", libc.setrlimit(RLIMIT_NOFILE, ptr(limits)));
}

export function umount(path: string, lazy: boolean): void {
  check("umount", libc.umount2(cString(path), unmountNoFollow | (lazy ? unmountDetach : 0)));
}

export function close(descriptor: number): void {
  check("close", libc.close(descriptor));
}

/** Opens a directory or file as a mere handle (O_PATH), following no symbolic link in its last part. */
export function openHandle(path: string): number {
  return openat2(currentDirectory, path, 0);
}

/** Opens `path` within `directory` (an open descriptor) as a handle; EXDEV or ELOOP when it would lead out of it. */
export function openBeneath(directory: number, path: string): number {
  return openat2(directory, path, resolveBeneath | resolveNoMagicLinks);
}

function openat2(directory: number, path: string, resolve: number): number {
  // struct open_how: flags, mode, resolve; 64 bits each.
  const how = new BigUint64Array([BigInt(openPath | closeOnExec), 0n, BigInt(resolve)]);
  const result = libc.syscall(openat2Call, directory, cString(path), ptr(how), how.byteLength);
  return check("openat2", Number(result));
}

const AF_INET = 2;
const AF_INET6 = 10;
/** Of sockets that send whole frames (packet(7)). */
export const AF_PACKET = 17;
const SOCK_STREAM = 1;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const POLLOUT = 4;
const CLONE_NEWNET = 0x40000000;

/** A non-blocking TCP socket that belongs to another network namespace. */
export function socketInNamespace(namespace: number, own: number, family: "IPv4" | "IPv6"): number {
  const domain = family === "IPv4" ? AF_INET : AF_INET6;
  return inNamespace(namespace, own, () => libc.socket(domain, SOCK_STREAM | SOCK_NONBLOCK | closeOnExec, 0));
}

/** A socket that sends whole frames by the interfaces of another network namespace, and receives none (packet(7)). */
export function packetSocketInNamespace(namespace: number, own: number): number {
  return inNamespace(namespace, own, () => libc.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | closeOnExec, 0));
}

/** This thread enters the namespace for the length of one socket(2) and comes back before anything else runs on it. */
function inNamespace(namespace: number, own: number, openSocket: () => number): number {
  check("setns", libc.setns(namespace, CLONE_NEWNET));
  let descriptor = -1;
  let failure: SystemCallError | undefined;
  try {
    descriptor = check("socket", openSocket());
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    failure = error;
  } finally {
    // To go on in a pod's network would be worse than to end: every later socket would be in the wrong place.
    if (libc.setns(own, CLONE_NEWNET) !== 0) {
      console.error(`cannot return to the board's network namespace: ${errnoName(errno())}`);
      process.abort();
    }
  }
  if (failure !== undefined) throw failure;
  return descriptor;
}

/** Begins to connect to the loopback address. `false`: under way, to be asked by `connectOutcome`. */
export function connectLoopback(descriptor: number, family: "IPv4" | "IPv6", port: number): boolean {
  const address = loopbackAddress(family, port);
  if (libc.connect(descriptor, ptr(address), address.byteLength) === 0) return true;
  const code = errnoName(errno());
  if (code === "EINPROGRESS") return false;
  throw new SystemCallError("connect", code);
}

/** undefined: still under way. Throws when the connection was refused. */
export function connectOutcome(descriptor: number): true | undefined {
  // struct pollfd: int fd, short events, short revents.
  const pollFd = new DataView(new ArrayBuffer(8));
  pollFd.setInt32(0, descriptor, true);
  pollFd.setInt16(4, POLLOUT, true);
  if (check("poll", libc.poll(ptr(pollFd), 1n, 0)) === 0) return undefined;
  const value = new Int32Array(1);
  const length = new Uint32Array([4]);
  check("getsockopt", libc.getsockopt(descriptor, SOL_SOCKET, SO_ERROR, ptr(value), ptr(length)));
  const code = value[0] ?? 0;
  if (code !== 0) throw new SystemCallError("connect", errnoName(code));
  return true;
}

function loopbackAddress(family: "IPv4" | "IPv6", port: number): Uint8Array {
  const address = new Uint8Array(family === "IPv4" ? 16 : 28);
  const view = new DataView(address.buffer);
  // sa_family in the machine's order (both architectures are little-endian), the port in the network's.
  view.setUint16(0, family === "IPv4" ? AF_INET : AF_INET6, true);
  view.setUint16(2, port, false);
  if (family === "IPv4") address.set([127, 0, 0, 1], 4);
  else address[23] = 1;
  return address;
}

/** Runs calls for one operation; what fails becomes a HostError that names the path. */
export function hostOperation<T>(operation: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw toHostError(operation, path, error);
  }
}

export function toHostError(operation: string, path: string, error: unknown): unknown {
  if (error instanceof SystemCallError) return new HostError(error.code, operation, path, { cause: error });
  if (error instanceof Error && "code" in error && typeof error.code === "string" && !(error instanceof HostError)) {
    return new HostError(error.code, operation, path, { cause: error });
  }
  return error;
}
