import { StatusError, unauthorized } from "#shared/api/errors.ts";
import type { User } from "../request.ts";
import type { Authenticator, Credentials } from "./authenticator.ts";
import { type TokenAuthenticator, TokenError } from "./token-authenticator.ts";

export const anonymousUser: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

const webSocketProtocolPrefix = "base64url.bearer.authorization.k8s.io.";

/** `Authorization: Bearer`, or for browsers' WebSockets the subprotocol that carries a token. */
export function bearerTokens(tokens: TokenAuthenticator): Authenticator {
  return {
    authenticate({ headers, warnings }) {
      const token = bearerTokenOf(headers, warnings);
      return token === undefined ? undefined : userOf(tokens, token, warnings);
    },
  };
}

async function userOf(tokens: TokenAuthenticator, token: string, warnings?: string[]): Promise<User> {
  try {
    const found = await tokens.authenticateToken(token);
    if (!found) throw unauthorized();
    if (found.warnings) warnings?.push(...found.warnings);
    return found.user;
  } catch (error) {
    if (error instanceof TokenError) throw unauthorized();
    throw error;
  }
}

/** Knows everyone, be it as the anonymous user. */
export interface AuthenticatorChain extends Authenticator {
  authenticate(credentials: Credentials): Promise<User>;
}

/**
 * Asks each authenticator in turn. Whoever is known gets the group system:authenticated; who shows no credentials is
 * system:anonymous, where that is allowed; who shows wrong ones is refused.
 */
export function authenticatorChain(
  authenticators: readonly Authenticator[],
  allowsAnonymous: (path: string) => boolean = () => true,
): AuthenticatorChain {
  return {
    async authenticate(credentials) {
      let refusal: StatusError | undefined;
      for (const authenticator of authenticators) {
        try {
          const asked = authenticator.authenticate(credentials);
          const user = asked instanceof Promise ? await asked : asked;
          if (user) return withAuthenticatedGroup(user);
        } catch (error) {
          // Wrong credentials of one kind do not hide right ones of another.
          if (!(error instanceof StatusError) || error.reason !== "Unauthorized") throw error;
          refusal ??= error;
        }
      }
      if (refusal) throw refusal;
      if (!allowsAnonymous(credentials.path ?? "")) throw unauthorized();
      return anonymousUser;
    },
  };
}

/** Adds system:authenticated, except to the anonymous user, whom a proxy may name too. */
export function withAuthenticatedGroup(user: User): User {
  if (user.name === anonymousUser.name) return user;
  if (user.groups.includes("system:authenticated") || user.groups.includes("system:unauthenticated")) return user;
  return { ...user, groups: [...user.groups, "system:authenticated"] };
}

function bearerTokenOf(headers: Credentials["headers"], warnings?: string[]): string | undefined {
  const [scheme, token, ...more] = (headers["authorization"] ?? "").trim().split(" ");
  const isBearer = scheme?.toLowerCase() === "bearer";
  if (isBearer && token) return token;
  if (isBearer && more.length > 0)
    warnings?.push("the provided Authorization header contains extra space before the bearer token, and is ignored");
  const encoded = (headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((protocol) => protocol.trim())
    .find((protocol) => protocol.startsWith(webSocketProtocolPrefix));
  if (encoded === undefined) return undefined;
  return Buffer.from(encoded.slice(webSocketProtocolPrefix.length), "base64url").toString("utf8");
}
