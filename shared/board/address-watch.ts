/** The kernel tells of addresses and default routes that come and go (rtnetlink(7)): nobody has to look again and again. */
import { dlopen, FFIType, ptr } from "bun:ffi";
import type { Socket } from "bun";
import type { Log } from "../client/log.ts";
import type { Part } from "../process/parts.ts";

/** From the kernel's headers, the same on every architecture that Bramble runs on: socket(2), netlink(7). */
const netlinkFamily = 16;
const rawSocket = 3 | 0o4000 | 0o2000000;
const routeProtocol = 0;
const groups = { ipv4Address: 0x10, ipv4Route: 0x40, ipv6Address: 0x100, ipv6Route: 0x400 } as const;
const address_bytes = 12;

/** A new lease comes as several events: the address goes, another comes, and then the routes. */
const settle_ms = 1_000;
const reopen_ms = 5_000;

type Listening = Pick<Socket<unknown>, "end">;

const libc = () =>
  dlopen("libc.so.6", {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  }).symbols;

/**
 * Calls `changed` once addresses or routes of this network namespace have changed and then kept still for a second; it looks
 * for itself at what they are now, and may find them as before. It is also called when events were lost. Resolves when the
 * kernel is listened to; rejects where it gives no such socket.
 */
export async function watchAddresses(changed: () => void, log: Log): Promise<Part> {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let socket: Listening | undefined;
  const settle = (): void => {
    clearTimeout(timer);
    timer = setTimeout(changed, settle_ms);
    timer.unref();
  };
  const open = async (): Promise<void> => {
    socket = await listen({
      data: settle,
      // More events than its buffer holds (ENOBUFS): what they told is seen by looking.
      close() {
        if (isStopped) return;
        log.debug("the kernel's events of addresses were cut", {});
        setTimeout(reopen, reopen_ms).unref();
      },
    });
  };
  const reopen = (): void => {
    if (isStopped) return;
    open().then(settle, (error: unknown) => log.warn("changes of this board's addresses are not noticed", { error }));
  };
  await open();
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
      socket?.end();
    },
  };
}

async function listen({ data, close }: { readonly data: () => void; readonly close: () => void }): Promise<Listening> {
  const calls = libc();
  const fd = calls.socket(netlinkFamily, rawSocket, routeProtocol);
  if (fd < 0) throw new Error("the kernel gives no netlink socket");
  // struct sockaddr_nl: family, padding, port (0: the kernel's choice), groups.
  const address = new DataView(new ArrayBuffer(address_bytes));
  address.setUint16(0, netlinkFamily, true);
  address.setUint32(
    8,
    Object.values(groups).reduce<number>((all, group) => all | group, 0),
    true,
  );
  if (calls.bind(fd, ptr(address), address_bytes) < 0) {
    calls.close(fd);
    throw new Error("the kernel lets nobody listen for addresses");
  }
  // A descriptor instead of an address; the types do not know it.
  const options = { fd, socket: { data, close, error: () => undefined } };
  return Bun.connect(options as unknown as Parameters<typeof Bun.connect>[0]);
}
