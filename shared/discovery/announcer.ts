import { createSocket, type Socket } from "node:dgram";
import { BlockList } from "node:net";
import { networkInterfaces } from "node:os";
import { boardAddresses } from "#shared/board/addresses.ts";
import type { Log } from "#shared/client/log.ts";
import { isIpv6 } from "#shared/net/ip-family.ts";
import type { Part } from "#shared/process/parts.ts";
import { lanAddresses, lanInterfacesV6 } from "./find-masters.ts";
import { closeSocket, LinkListeners } from "./link-listeners.ts";
import type { Announcement, Asker, Reply } from "./records.ts";
import { mayAsk, mdnsGroup, mdnsPort } from "./service-type.ts";

/** Answers in a second; who asks more often gets none. */
const mostAnswers = 20;

export interface Announcer extends Part {
  /** Interfaces come and go: Wi-Fi is often later than a master. To be called when addresses have changed. */
  addressesChanged(): void;
}

/**
 * Answers who asks the LAN for masters, and sends nothing unasked. Another responder, such as avahi, may run beside it: the
 * socket is bound to the group, so that what is sent to this board's own address reaches that one alone. A LAN without
 * multicast, or a port that is taken, is told once and keeps nothing from running.
 */
export function startAnnouncer(
  own: () => Omit<Announcement, "addresses">,
  preferredAddress: () => string,
  log: Log,
): Announcer {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  const memberships = new GroupMemberships(socket, log);
  const rate = new AnswerRate();
  const notAnswered = (asker: Asker, error: unknown): void =>
    log.debug("a question by mDNS was not answered", { asker: asker.address, error });
  const links = new LinkListeners((message, asker, answer) => {
    // Only the LAN is answered: who asks by its address of the link.
    if (!/^fe[89ab]/i.test(asker.address) || !mayAsk(message) || !rate.mayAnswer()) return;
    const addresses = boardAddresses({ preferred: preferredAddress(), family: "IPv6" });
    const described = { ...own(), addresses: addresses.filter(isIpv6) };
    replyTo(message, asker, described)
      .then((reply) => reply && answer(reply))
      .catch((error: unknown) => notAnswered(asker, error));
  }, log);
  let isBound = false;
  const join = (): void => {
    // Masters listen on IPv6 where that is the cluster's first family.
    links.follow(isIpv6(preferredAddress()) ? lanInterfacesV6() : []);
    memberships.join(lanAddresses());
  };
  socket.on("error", (error) => log.warn("boards cannot find this master by mDNS", { error }));
  socket.on("message", (message, asker) => {
    if (!mayAsk(message) || !rate.mayAnswer()) return;
    answer(socket, message, asker, own(), preferredAddress()).catch((error: unknown) => notAnswered(asker, error));
  });
  socket.bind({ port: mdnsPort, address: mdnsGroup }, () => {
    socket.setMulticastTTL(255);
    isBound = true;
    join();
  });
  return {
    addressesChanged() {
      if (isBound) join();
    },
    stop() {
      isBound = false;
      links.follow([]);
      closeSocket(socket, log);
    },
  };
}

/** Through which interfaces, by their addresses, the socket hears the group. */
class GroupMemberships {
  readonly #socket: Socket;
  readonly #log: Log;
  readonly #joined = new Set<string>();

  constructor(socket: Socket, log: Log) {
    this.#socket = socket;
    this.#log = log;
  }

  /** By all of these; those that have gone have left the group by themselves. */
  join(present: readonly string[]): void {
    for (const address of this.#joined) if (!present.includes(address)) this.#joined.delete(address);
    for (const address of present) {
      if (this.#joined.has(address)) continue;
      this.#joined.add(address);
      try {
        this.#socket.addMembership(mdnsGroup, address);
      } catch (error) {
        // An address of an interface that has joined already, or one without multicast.
        this.#log.debug("not heard by multicast here", { address, error });
      }
    }
  }
}

class AnswerRate {
  #second = 0;
  #count = 0;

  /** Counts an answer, if there may be one more in this second. */
  mayAnswer(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    return this.#count++ < mostAnswers;
  }
}

async function answer(
  socket: Socket,
  message: Uint8Array,
  asker: Asker,
  own: Omit<Announcement, "addresses">,
  preferredAddress: string,
): Promise<void> {
  const near = addressBeside(asker.address);
  // Only the LAN is answered.
  if (near === undefined) return;
  const addresses = [
    ...new Set([near, ...boardAddresses({ preferred: preferredAddress }).filter((each) => each.includes("."))]),
  ];
  const reply = await replyTo(message, asker, { ...own, addresses });
  if (!reply) return;
  if (reply.isUnicast) {
    socket.send(reply.packet, asker.port, asker.address);
    return;
  }
  socket.setMulticastInterface(near);
  socket.send(reply.packet, mdnsPort, mdnsGroup);
}

async function replyTo(message: Uint8Array, asker: Asker, own: Announcement): Promise<Reply | undefined> {
  // Only here: a master that nobody asks holds no DNS library for it.
  const { answerTo } = await import("./records.ts");
  return answerTo(message, asker, own);
}

/** This board's address in the network of another. */
function addressBeside(other: string): string | undefined {
  for (const { address, cidr, family } of Object.values(networkInterfaces()).flatMap((each) => each ?? [])) {
    if (family !== "IPv4" || cidr === null) continue;
    const network = new BlockList();
    network.addSubnet(address, Number(cidr.split("/")[1]), "ipv4");
    if (network.check(other, "ipv4")) return address;
  }
  return undefined;
}
