import { createSocket, type Socket } from "node:dgram";
import type { Log } from "#shared/client/log.ts";
import type { Asker, Reply } from "./records.ts";
import { mdnsGroupV6, mdnsPort } from "./service-type.ts";

/** What hears a question; `answer` sends to who asked, or to the group of its link. */
type Hearer = (message: Uint8Array, asker: Asker, answer: (reply: Reply) => void) => void;

/** Listens to the group of multicast DNS by IPv6: a group is one of a link, so each interface has a socket of its own. */
export class LinkListeners {
  private readonly sockets = new Map<string, Socket>();

  constructor(
    private readonly hear: Hearer,
    private readonly log: Log,
  ) {}

  /** Listens at these interfaces and at no others. One that cannot be listened at is tried again the next time. */
  follow(interfaces: readonly string[]): void {
    for (const [name, socket] of this.sockets) {
      if (interfaces.includes(name)) continue;
      this.sockets.delete(name);
      closeSocket(socket, this.log);
    }
    for (const name of interfaces) if (!this.sockets.has(name)) this.sockets.set(name, this.listen(name));
  }

  private listen(name: string): Socket {
    const group = mdnsGroupV6(name);
    const socket = createSocket({ type: "udp6", reuseAddr: true });
    const failed = (error: unknown): void => {
      if (this.sockets.get(name) === socket) this.sockets.delete(name);
      this.log.debug("not heard by multicast of IPv6 here", { name, error });
    };
    socket.on("error", failed);
    socket.on("message", (message, asker) =>
      this.hear(message, asker, ({ packet, isUnicast }) => {
        if (isUnicast) socket.send(packet, asker.port, asker.address);
        else socket.send(packet, mdnsPort, group);
      }),
    );
    socket.bind({ port: mdnsPort, address: group }, () => {
      try {
        const link = `::%${name}`;
        socket.addMembership("ff02::fb", link);
        socket.setMulticastInterface(link);
        socket.setMulticastTTL(255);
      } catch (error) {
        closeSocket(socket, this.log);
        failed(error);
      }
    });
    return socket;
  }
}

/** One that could not be bound is closed already. */
export function closeSocket(socket: Socket, log: Log): void {
  try {
    socket.close();
  } catch (error) {
    log.debug("the socket of mDNS was closed already", { error });
  }
}
