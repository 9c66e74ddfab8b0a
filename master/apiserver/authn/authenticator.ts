import type { HttpRequest } from "../http/arrival.ts";
import type { User } from "../request.ts";
import type { ClientCertificate } from "./client-authorities.ts";

/** What authentication looks at. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Headers as they were sent; few ask for them, and only then are they made. */
  readonly request?: Pick<HttpRequest, "rawHeaders"> | undefined;
  readonly clientCertificate?: ClientCertificate | undefined;
  /** Of the request's URL. */
  readonly path?: string | undefined;
  readonly remoteAddress?: string | undefined;
  /** Takes what the client is to be told of them, whatever comes of its request. */
  readonly warnings?: string[] | undefined;
}

/** undefined: these are not credentials of mine. Throws unauthorized() when they are mine and wrong. No promise where there is
 *  nothing to wait for: every request comes through here. */
export interface Authenticator {
  authenticate(credentials: Credentials): Promise<User | undefined> | User | undefined;
}
