import type { Socket } from "node:dgram";

/** Each time that a datagram goes again, another client may have gone. */
const resends = 5;

/** Nobody is at the port of a datagram that was sent before. */
export const isGoneClient = (error: NodeJS.ErrnoException): boolean => error.code === "ECONNREFUSED";

/**
 * Sends by a socket that many clients share. That a client has gone is told to whoever sends next: that datagram has not
 * left, and goes again.
 */
export function sendDatagram(
  socket: Socket,
  datagram: Buffer,
  to: { readonly address: string; readonly port: number },
  failed: (error: Error) => void,
  left = resends,
): void {
  socket.send(datagram, to.port, to.address, (error) => {
    if (!error) return;
    if (isGoneClient(error) && left > 0) sendDatagram(socket, datagram, to, failed, left - 1);
    else failed(error);
  });
}
