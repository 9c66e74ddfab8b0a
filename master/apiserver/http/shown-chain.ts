import type { DetailedPeerCertificate, TLSSocket } from "node:tls";

/** Certificates; more lie between a client and an authority in no cluster. */
const LONGEST_CHAIN = 8;

/** DER: what the client showed first, as far as each was issued by the next. */
export function shownChain(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let shown: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // An authority has issued itself.
  while (shown?.raw && !chain.some((der) => der.equals(shown?.raw ?? der)) && chain.length < LONGEST_CHAIN) {
    chain.push(shown.raw);
    shown = shown.issuerCertificate;
  }
  return chain;
}
