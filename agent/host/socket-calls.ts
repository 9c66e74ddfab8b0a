/** Unix sockets that carry descriptors (unix(7), SCM_RIGHTS), which the runtime's own sockets do not. */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { check, closeOnExec, errnoCode, SystemCallError } from "./system-calls.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  sendmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64 },
  recvmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64 },
});

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const mostDescriptors = 8;
const chunk_bytes = 4096;
/** struct cmsghdr of 64-bit systems: length, level, type. */
const controlHeader_bytes = 16;

/** A non-blocking stream socket. */
export function unixSocket(): number {
  return check("socket", libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | closeOnExec, 0));
}

export function connectUnix(socket: number, path: string): void {
  const address = Buffer.alloc(2 + Buffer.byteLength(path) + 1);
  address.writeUInt16LE(AF_UNIX);
  address.write(path, 2);
  check("connect", libc.connect(socket, ptr(address), address.length));
}

/** Sends all or throws. */
export function send(socket: number, data: Buffer): void {
  const sent = check("send", Number(libc.send(socket, ptr(data), BigInt(data.length), MSG_NOSIGNAL)));
  if (sent < data.length) throw new SystemCallError("send", "EAGAIN");
}

/** Sends all, and the receiver gets these descriptors too. */
export function sendWithDescriptors(socket: number, data: Buffer, descriptors: readonly number[]): void {
  const control = new DataView(new ArrayBuffer(controlHeader_bytes + descriptors.length * 4));
  control.setBigUint64(0, BigInt(control.byteLength), true);
  control.setInt32(8, SOL_SOCKET, true);
  control.setInt32(12, SCM_RIGHTS, true);
  for (const [index, descriptor] of descriptors.entries())
    control.setInt32(controlHeader_bytes + index * 4, descriptor, true);
  const header = messageHeader(data, control);
  check("sendmsg", Number(libc.sendmsg(socket, ptr(header.message), MSG_NOSIGNAL)));
}

/** What has come, with its descriptors, which are the caller's to close; no data when the other side has ended; undefined
 *  when nothing is there yet. */
export function receiveWithDescriptors(
  socket: number,
): { readonly data: Buffer; readonly descriptors: readonly number[] } | undefined {
  const data = Buffer.alloc(chunk_bytes);
  const control = new DataView(new ArrayBuffer(controlHeader_bytes + mostDescriptors * 4));
  const header = messageHeader(data, control);
  const received = Number(libc.recvmsg(socket, ptr(header.message), MSG_CMSG_CLOEXEC));
  if (received < 0) {
    const code = errnoCode();
    // One number of two names.
    if (code === "EAGAIN" || code === "EWOULDBLOCK") return undefined;
    throw new SystemCallError("recvmsg", code);
  }
  const descriptors: number[] = [];
  const controlLength = Number(header.message.getBigUint64(40, true));
  if (controlLength >= controlHeader_bytes && control.getInt32(12, true) === SCM_RIGHTS) {
    const end = Math.min(Number(control.getBigUint64(0, true)), controlLength);
    for (let at = controlHeader_bytes; at + 4 <= end; at += 4) descriptors.push(control.getInt32(at, true));
  }
  return { data: data.subarray(0, received), descriptors };
}

/** struct msghdr of 64-bit systems with one struct iovec, which must live as long as the call. */
function messageHeader(data: Buffer, control: DataView): { readonly message: DataView; readonly vector: DataView } {
  const vector = new DataView(new ArrayBuffer(16));
  vector.setBigUint64(0, BigInt(ptr(data)), true);
  vector.setBigUint64(8, BigInt(data.length), true);
  const message = new DataView(new ArrayBuffer(56));
  message.setBigUint64(16, BigInt(ptr(vector)), true);
  message.setBigUint64(24, 1n, true);
  message.setBigUint64(32, BigInt(ptr(control)), true);
  message.setBigUint64(40, BigInt(control.byteLength), true);
  return { message, vector };
}
