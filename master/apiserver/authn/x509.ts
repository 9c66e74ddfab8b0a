import { unauthorized } from "#shared/api/errors.ts";
import { HistogramTable } from "#shared/metrics/tables.ts";
import { parseCertificateDer, subjectOf } from "#shared/pki/certificate.ts";
import type { User } from "../request.ts";
import type { Authenticator, Credentials } from "./authenticator.ts";

interface ClientIdentity {
  readonly user: User;
  readonly notBefore_ms: number;
  readonly notAfter_ms: number;
  readonly mayAuthenticateClients: boolean;
}

const cacheLimit = 1024;
const clientAuth = "1.3.6.1.5.5.7.3.2";
const anyUsage = "2.5.29.37.0";

const day_s = 86_400;

export const clientCertificateExpirations = new HistogramTable(
  {
    name: "apiserver_client_certificate_expiration_seconds",
    help: "For how long the certificates of requests were still valid.",
    labels: [],
  },
  [0, 1800, 3600, 7200, 21_600, 43_200, ...[1, 2, 4, 7, 30, 90, 180, 365].map((days) => days * day_s)],
);

/**
 * Takes the user from a verified client certificate: CN is the name, each O a group. The chain was checked in the
 * handshake; validity and extended usage are looked at here on every request, since a connection, or a resumed
 * session, can outlive its certificate.
 */
export class ClientCertificates implements Authenticator {
  readonly #identities = new Map<string, ClientIdentity>();
  /** Of certificates that were seen before, by the bytes that their connections hold. */
  readonly #seen = new WeakMap<Buffer, ClientIdentity>();

  constructor(private readonly now_ms: () => number = Date.now) {}

  authenticate({ clientCertificate }: Credentials): User | undefined {
    if (!clientCertificate?.raw) return undefined;
    const identity = this.#identityOf(clientCertificate.raw);
    const now_ms = this.now_ms();
    if (!identity.mayAuthenticateClients || now_ms < identity.notBefore_ms || now_ms > identity.notAfter_ms)
      throw unauthorized();
    clientCertificateExpirations.observe((identity.notAfter_ms - now_ms) / 1000);
    return identity.user.name === "" ? undefined : identity.user;
  }

  #identityOf(der: Buffer): ClientIdentity {
    const seen = this.#seen.get(der);
    if (seen) return seen;
    const identity = this.#sharedIdentityOf(der);
    this.#seen.set(der, identity);
    return identity;
  }

  /** Connections of one client have one. */
  #sharedIdentityOf(der: Buffer): ClientIdentity {
    const key = der.toString("latin1");
    const known = this.#identities.get(key);
    if (known) return known;
    const certificate = parseCertificateDer(der);
    const { commonName, organizations } = subjectOf(certificate.subjectName);
    const identity: ClientIdentity = {
      user: {
        name: commonName,
        groups: organizations,
        extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${certificate.fingerprint}`] },
      },
      notBefore_ms: certificate.notBefore.getTime(),
      notAfter_ms: certificate.notAfter.getTime(),
      mayAuthenticateClients: certificate.extendedUsages.some((usage) => usage === clientAuth || usage === anyUsage),
    };
    if (this.#identities.size >= cacheLimit) this.#identities.clear();
    this.#identities.set(key, identity);
    return identity;
  }
}
