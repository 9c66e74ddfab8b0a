import type { PeerCertificate } from "node:tls";
import type { User } from "../request.ts";

/** What authentication looks at. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Set only when TLS verified the chain against the client CA (`authorized === true`). */
  readonly clientCertificate?: PeerCertificate | undefined;
  /** Of the request's URL. */
  readonly path?: string | undefined;
  readonly remoteAddress?: string | undefined;
}

/** undefined: these are not credentials of mine. Throws unauthorized() when they are mine and wrong. No promise where there is
 *  nothing to wait for: every request comes through here. */
export interface Authenticator {
  authenticate(credentials: Credentials): Promise<User | undefined> | User | undefined;
}
