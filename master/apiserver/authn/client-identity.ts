import { anyUsage, extendedKeyUsages, parseCertificateDer, subjectOf } from "#shared/pki/certificate-facts.ts";
import { credentialIdKey, type User } from "../request.ts";

/** Whom a certificate names, and when. */
export interface ClientIdentity {
  /** CN is the name, each O a group. */
  readonly user: User;
  readonly notBefore_ms: number;
  readonly notAfter_ms: number;
  readonly mayAuthenticateClients: boolean;
}

const cacheLimit = 1024;
/** Part of a subject: the user's UID. */
const uidAttribute = "1.3.6.1.4.1.57683.2";

/** Identities by certificate: they are asked for with every request. */
export class ClientIdentities {
  readonly #identities = new Map<string, ClientIdentity>();
  /** Of certificates that were seen before, by the bytes that their connections hold. */
  readonly #seen = new WeakMap<Buffer, ClientIdentity>();

  constructor(readonly now_ms: () => number = Date.now) {}

  /** undefined: the certificate is not for clients, or not for now. That is looked at on every request, since a connection,
   *  or a resumed session, can outlive its certificate. */
  valid(der: Buffer): ClientIdentity | undefined {
    const identity = this.#identityOf(der);
    const now_ms = this.now_ms();
    const isNow = identity.notBefore_ms <= now_ms && now_ms <= identity.notAfter_ms;
    return isNow && identity.mayAuthenticateClients ? identity : undefined;
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
    const { extendedUsages } = certificate;
    const uids = certificate.subjectName.getField(uidAttribute);
    const identity: ClientIdentity = {
      user: {
        name: commonName,
        uid: uids[0],
        groups: organizations,
        extra: { [credentialIdKey]: [`X509SHA256=${certificate.fingerprint}`] },
      },
      notBefore_ms: certificate.notBefore.getTime(),
      notAfter_ms: certificate.notAfter.getTime(),
      mayAuthenticateClients: isForClients(extendedUsages) && uids.length <= 1 && uids[0] !== "",
    };
    if (this.#identities.size >= cacheLimit) this.#identities.clear();
    this.#identities.set(key, identity);
    return identity;
  }
}

/** One that names no usage is restricted to none (RFC 5280, 4.2.1.12). */
const isForClients = (usages: readonly string[]): boolean =>
  usages.length === 0 || usages.includes(extendedKeyUsages.clientAuth) || usages.includes(anyUsage);
