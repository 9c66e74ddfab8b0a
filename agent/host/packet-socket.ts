import { dlopen, FFIType, ptr } from "bun:ffi";
import { withNamespace } from "./network-namespace.ts";
import { AF_PACKET, check, close, hostOperation, packetSocketInNamespace } from "./system-calls.ts";

const { symbols: libc } = dlopen("libc.so.6", {
  ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64,
  },
});

const SIOCGIFINDEX = 0x8933;
const SIOCGIFHWADDR = 0x8927;
const nameLength_bytes = 16;
const linkAddress_bytes = 6;

/**
 * Sends Ethernet frames by an interface of another network namespace, as they are. Throws HostError: ENOENT when the
 * namespace is gone, ENODEV without such an interface.
 */
export function sendFrames(namespacePath: string, device: string, frames: readonly Uint8Array[]): void {
  hostOperation(`send by ${device} of`, namespacePath, () => {
    const socket = withNamespace(namespacePath, packetSocketInNamespace);
    try {
      const address = linkAddress(indexOf(socket, device));
      for (const frame of frames) {
        check("sendto", Number(libc.sendto(socket, ptr(frame), BigInt(frame.length), 0, ptr(address), address.length)));
      }
    } finally {
      close(socket);
    }
  });
}

/** The link address of an interface in another network namespace. Throws as sendFrames does. */
export function linkAddressIn(namespacePath: string, device: string): Buffer {
  return hostOperation(`read the link address of ${device} in`, namespacePath, () => {
    const socket = withNamespace(namespacePath, packetSocketInNamespace);
    try {
      // Behind the name a struct sockaddr: its family, then the address.
      return ask(socket, SIOCGIFHWADDR, device).subarray(
        nameLength_bytes + 2,
        nameLength_bytes + 2 + linkAddress_bytes,
      );
    } finally {
      close(socket);
    }
  });
}

/** struct ifreq: the name, and in the answer what was asked for after it (netdevice(7)). */
function ask(socket: number, what: number, device: string): Buffer {
  const request = Buffer.alloc(40);
  request.write(device, 0, nameLength_bytes - 1);
  check("ioctl", libc.ioctl(socket, BigInt(what), ptr(request)));
  return request;
}

const indexOf = (socket: number, device: string): number =>
  ask(socket, SIOCGIFINDEX, device).readInt32LE(nameLength_bytes);

/** struct sockaddr_ll, of which sending by a raw socket needs the family and the interface (packet(7)). */
function linkAddress(index: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeInt32LE(index, 4);
  return address;
}
