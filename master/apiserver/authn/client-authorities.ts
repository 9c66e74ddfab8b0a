/** By which of the cluster's authorities a client's certificate was issued: the clients' own, or the one of the proxies before us. */
import { X509Certificate } from "node:crypto";
import { joinCertificates, splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { mayIssueClients } from "#shared/pki/certificate-facts.ts";

/** What a client showed in its handshake. */
export interface ClientCertificate {
  /** DER. */
  readonly raw: Buffer;
  /** It is who it says: a path leads to an authority of clients. */
  readonly isClients: boolean;
  /** It may be a proxy, which says who others are: a path leads to an authority of proxies. */
  readonly isFrontProxys: boolean;
}

/** PEM bundles. */
export interface ClientAuthorityBundles {
  readonly clients: string;
  readonly frontProxies: string;
}

/**
 * TLS knows one bundle of authorities alone, so it says that a certificate leads to one of them, and this to which. A certificate
 * may lead to both: where one authority stands in both bundles, or has its key certified in both.
 */
export class ClientAuthorities {
  /** For the handshake, PEM: clients learn from it which of their certificates to show. */
  readonly all: string;
  readonly #clients: readonly X509Certificate[];
  readonly #frontProxies: readonly X509Certificate[];

  constructor(private readonly bundles: ClientAuthorityBundles) {
    const { clients, frontProxies } = bundles;
    this.all = joinCertificates(clients, frontProxies);
    this.#clients = certificatesIn(clients);
    this.#frontProxies = certificatesIn(frontProxies);
  }

  /** The same clients, with others' proxies: PEM. */
  withFrontProxies(frontProxies: string): ClientAuthorities {
    return new ClientAuthorities({ clients: this.bundles.clients, frontProxies });
  }

  /** @param chain DER: a client's certificate, and what TLS found to lead from it to an authority; itself alone where it found none. */
  judge(chain: readonly Buffer[], now: Date = new Date()): ClientCertificate {
    const [raw = Buffer.alloc(0)] = chain;
    const certificates = chain.map((der) => new X509Certificate(der));
    return {
      raw,
      isClients: leadsTo(this.#clients, certificates, now),
      isFrontProxys: leadsTo(this.#frontProxies, certificates, now),
    };
  }
}

/** A path by names and signatures whose every step may issue (RFC 5280, 6.1). */
function leadsTo(authorities: readonly X509Certificate[], chain: readonly X509Certificate[], now: Date): boolean {
  const vouching = authorities.filter(({ validFromDate, validToDate }) => validFromDate <= now && now <= validToDate);
  for (const [index, certificate] of chain.entries()) {
    if (vouching.some((authority) => certificate.raw.equals(authority.raw) || isIssuerOf(authority, certificate)))
      return true;
    const above = chain[index + 1];
    if (!above || !isIssuerOf(above, certificate) || !mayIssueClients(above.raw, index, now)) return false;
  }
  return false;
}

const isIssuerOf = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

const certificatesIn = (bundle: string): X509Certificate[] =>
  splitCertificates(bundle).map((pem) => new X509Certificate(pem));
