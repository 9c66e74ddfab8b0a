import type { TLSSocket } from "node:tls";

/** Whom a certificate names, as far as Kubernetes goes by it: a user and the user's groups. */
export interface PeerSubject {
  readonly commonName: string | undefined;
  readonly organizations: readonly string[];
}

/** The subject of the certificate that the other side has shown; whether it counts, `authorized` tells. */
export function peerSubject(socket: TLSSocket): PeerSubject {
  // Without a certificate there is no subject, and an attribute that comes several times is a list: Node's types know neither.
  const subject = socket.getPeerCertificate().subject as unknown as
    | Partial<Record<"CN" | "O", string | string[]>>
    | undefined;
  // Of several names the last, as in subjectOf.
  return { commonName: [subject?.CN ?? []].flat().at(-1), organizations: [subject?.O ?? []].flat() };
}
