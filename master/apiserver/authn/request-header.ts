import type { User } from "../request.ts";
import type { Authenticator, Credentials } from "./authenticator.ts";
import type { ClientIdentities } from "./client-identity.ts";
import type { IdentityHeaders } from "./identity-headers.ts";

/**
 * Takes the user from what a proxy in front of this server says of its client (upstream's request-header authentication): a
 * proxy is whoever shows a certificate of an authority of proxies, with one of the names that are allowed.
 */
export class FrontProxies implements Authenticator {
  /** @param allowedNames common names; none: any. */
  constructor(
    private readonly identities: ClientIdentities,
    private readonly headers: IdentityHeaders,
    private readonly allowedNames: readonly string[],
  ) {}

  /** What comes of a proxy's request without a user, or of a stranger's, say those who are asked next. */
  authenticate({ clientCertificate, request }: Credentials): User | undefined {
    if (!clientCertificate?.isFrontProxys || !request) return undefined;
    const proxy = this.identities.valid(clientCertificate.raw);
    if (!proxy || !this.#isAllowed(proxy.user.name)) return undefined;
    return this.headers.userIn(request.rawHeaders);
  }

  #isAllowed(name: string): boolean {
    return this.allowedNames.length === 0 || this.allowedNames.includes(name);
  }
}
