import { createSocket } from "node:dgram";
import { isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { isVirtualInterface } from "#shared/board/addresses.ts";
import { udpTypeOf } from "#shared/net/ip-family.ts";
import { type Candidate, candidatesIn, question } from "./records.ts";
import { mdnsGroup, mdnsGroupV6, mdnsPort } from "./service-type.ts";

/** Asked so often and then no more: Wi-Fi loses multicast. */
const askAt_ms = [0, 400, 1_200];
const patience_ms = 2_500;
/** Anybody can announce anything: more are not looked at. */
const mostCandidates = 32;

/**
 * Asks the LAN for masters, out of every interface, and gives who has answered in time. Any of them may be a rogue: what they
 * say is for people and for the order in which they are tried.
 */
export async function findMasters(signal?: AbortSignal): Promise<Candidate[]> {
  const found = new Map<string, Candidate>();
  const ended = Promise.withResolvers<void>();
  const end = (): void => ended.resolve();
  const timers = [setTimeout(end, patience_ms)];
  signal?.addEventListener("abort", end);
  const packet = question();
  const links = [
    ...lanAddresses().map((address) => ({ from: address, by: address, group: mdnsGroup })),
    ...lanInterfacesV6().map((name) => ({ from: "::", by: `::%${name}`, group: mdnsGroupV6(name) })),
  ];
  const sockets = links.map(({ from, by, group }) => {
    const socket = createSocket(udpTypeOf(from));
    socket.on("message", (message) => {
      for (const candidate of candidatesIn(message))
        if (found.size < mostCandidates || found.has(candidate.url)) found.set(candidate.url, candidate);
    });
    // A link that went away meanwhile: the others may have answers.
    socket.on("error", () => undefined);
    socket.bind(0, from, () => {
      try {
        socket.setMulticastInterface(by);
        socket.setMulticastTTL(255);
        const ask = (): void => socket.send(packet, mdnsPort, group, () => undefined);
        for (const after_ms of askAt_ms) timers.push(setTimeout(ask, after_ms));
      } catch {
        // As above.
      }
    });
    return socket;
  });
  if (sockets.length === 0) end();
  await ended.promise;
  signal?.removeEventListener("abort", end);
  for (const timer of timers) clearTimeout(timer);
  for (const socket of sockets) socket.close();
  return [...found.values()];
}

/** An IPv4 address of each interface that leads to other boards, link-local ones too: a LAN may have no more. */
export function lanAddresses(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) => {
    const first = (addresses ?? []).find(({ address, internal }) => !internal && isIPv4(address));
    return first && !isVirtualInterface(name) ? [first.address] : [];
  });
}

/** Interfaces that lead to other boards and speak IPv6: each has an address of its link at least. */
export function lanInterfacesV6(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) => {
    const speaks = (addresses ?? []).some(({ address, internal }) => !internal && isIPv6(address));
    return speaks && !isVirtualInterface(name) ? [name] : [];
  });
}
