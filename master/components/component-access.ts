import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Access, AccessAttributes, Caller, DelegatedAccess } from "#shared/http/delegated-access.ts";
import type { Authenticator, Credentials } from "../apiserver/authn/authenticator.ts";
import { type AuthenticatorChain, authenticatorChain, bearerTokens } from "../apiserver/authn/chain.ts";
import type { ClientCertificate } from "../apiserver/authn/client-authorities.ts";
import { ClientIdentities } from "../apiserver/authn/client-identity.ts";
import { FrontProxies } from "../apiserver/authn/request-header.ts";
import { ClientCertificates } from "../apiserver/authn/x509.ts";
import { shownChain } from "../apiserver/http/shown-chain.ts";
import type { User } from "../apiserver/request.ts";
import { type ClientTrust, nobodysTrust } from "./published-trust.ts";

interface Judged {
  readonly by: ClientTrust;
  readonly certificate: ClientCertificate | undefined;
}

/** Who asks a component at its own port, and what they may do: by a proxy's word, a certificate or a token, as the API server
 *  itself takes them, which says what tokens and rights are worth (upstream's delegated authentication). */
export class ComponentAccess implements Access {
  readonly #delegated: DelegatedAccess;
  readonly #read: () => Promise<ClientTrust>;
  readonly #identities = new ClientIdentities();
  readonly #judged = new WeakMap<TLSSocket, Judged>();
  #trust = nobodysTrust;
  #chain: AuthenticatorChain;

  /** `read`: whom clients and proxies have their certificates by, as it is at the moment. */
  constructor(delegated: DelegatedAccess, read: () => Promise<ClientTrust>) {
    this.#delegated = delegated;
    this.#read = read;
    this.#chain = this.#chainOf(this.#trust);
  }

  /** Looks again who is trusted; gives all authorities, PEM, for the handshake. Rejects when that cannot be read. */
  async authorities(): Promise<string | undefined> {
    this.#trust = await this.#read();
    this.#chain = this.#chainOf(this.#trust);
    return this.#trust.authorities.all || undefined;
  }

  async callerOf(request: IncomingMessage): Promise<Caller> {
    const { authorization, "sec-websocket-protocol": protocols } = request.headers;
    const credentials: Credentials = {
      headers: { authorization, "sec-websocket-protocol": protocols },
      request,
      clientCertificate: this.#certificateOf(request.socket as TLSSocket),
    };
    return callerIn(await this.#chain.authenticate(credentials));
  }

  allows(caller: Caller, attributes: AccessAttributes): Promise<boolean> {
    return this.#delegated.allows(caller, attributes);
  }

  #chainOf({ headers, proxyNames }: ClientTrust): AuthenticatorChain {
    const proxies = new FrontProxies(this.#identities, headers, proxyNames);
    return authenticatorChain([proxies, new ClientCertificates(this.#identities), this.#tokens()]);
  }

  #tokens(): Authenticator {
    return bearerTokens({
      authenticateToken: async (token) => ({ user: userIn(await this.#delegated.callerByToken(token)) }),
    });
  }

  /** One that leads to no authority counts as shown. */
  #certificateOf(socket: TLSSocket): ClientCertificate | undefined {
    const known = this.#judged.get(socket);
    if (known?.by === this.#trust) return known.certificate;
    const chain = shownChain(socket);
    const [raw] = chain;
    const certificate =
      raw &&
      (socket.authorized ? this.#trust.authorities.judge(chain) : { raw, isClients: false, isFrontProxys: false });
    this.#judged.set(socket, { by: this.#trust, certificate });
    return certificate;
  }
}

const callerIn = ({ name, ...rest }: User): Caller => ({ ...rest, user: name });
const userIn = ({ user, ...rest }: Caller): User => ({ ...rest, name: user });
