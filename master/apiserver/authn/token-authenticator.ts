import type { User } from "../request.ts";

export interface AuthenticatedToken {
  readonly user: User;
  /** Those of the asked audiences that the token is for; absent when the token knows no audiences. */
  readonly audiences?: readonly string[] | undefined;
  /** What whoever shows the token is to be told. */
  readonly warnings?: readonly string[] | undefined;
}

/** Knows one kind of bearer token. */
export interface TokenAuthenticator {
  /** undefined: not a token of mine. Throws TokenError when it is one, and no longer or not yet good.
   *  `audiences`: what the token must be for; the API server's own when absent. */
  authenticateToken(token: string, audiences?: readonly string[]): Promise<AuthenticatedToken | undefined>;
}

/** Why a token was refused. A TokenReview shows it; a request is only told Unauthorized. */
export class TokenError extends Error {
  override readonly name = "TokenError";
}

/** Asks each in turn; the first that knows the token decides. Errors count only when nobody knows it. */
export function unionOfTokens(authenticators: readonly TokenAuthenticator[]): TokenAuthenticator {
  return {
    async authenticateToken(token, audiences) {
      const errors: TokenError[] = [];
      for (const authenticator of authenticators) {
        try {
          const found = await authenticator.authenticateToken(token, audiences);
          if (found) return found;
        } catch (error) {
          if (!(error instanceof TokenError)) throw error;
          errors.push(error);
        }
      }
      if (errors.length > 0) throw new TokenError(errors.map((error) => error.message).join(", "));
      return undefined;
    },
  };
}
