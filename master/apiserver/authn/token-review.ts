import { badRequest } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { SelfSubjectReview, TokenReview, UserInfo } from "#shared/api/types/authentication-v1.generated.ts";
import type { ResourceDeclaration } from "../registry/declaration.ts";
import type { User } from "../request.ts";
import { withAuthenticatedGroup } from "./chain.ts";
import { type TokenAuthenticator, TokenError } from "./token-authenticator.ts";

const group = "authentication.k8s.io";

export const tokenReviews: ResourceRef<TokenReview> = {
  group,
  version: "v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  namespaced: false,
};

const selfSubjectReviews: ResourceRef<SelfSubjectReview> = {
  group,
  version: "v1",
  kind: "SelfSubjectReview",
  plural: "selfsubjectreviews",
  namespaced: false,
};

/** Declarations of the virtual kinds of authentication.k8s.io. */
export function authenticationReviews(
  tokens: TokenAuthenticator,
  apiAudiences: readonly string[],
): ResourceDeclaration[] {
  return [
    {
      ref: tokenReviews,
      verbs: ["create"],
      virtual: (object) => {
        const review = object as unknown as TokenReview;
        if (!review.spec.token) throw badRequest("token is required for TokenReview in authentication");
        return { judged: object, carryOut: () => reviewToken(review, tokens, apiAudiences) };
      },
    },
    {
      ref: selfSubjectReviews,
      verbs: ["create"],
      virtual: (object, { user }) => ({
        judged: object,
        carryOut: () => Promise.resolve(withUser(object, user)),
      }),
    },
  ];
}

const withUser = (review: KubeObject, user: User): KubeObject & Pick<SelfSubjectReview, "status"> => ({
  ...review,
  // All that upstream answers of the metadata.
  metadata: { creationTimestamp: rfc3339(Date.now()) },
  status: { userInfo: userInfoOf(user) },
});

async function reviewToken(
  review: TokenReview,
  tokens: TokenAuthenticator,
  apiAudiences: readonly string[],
): Promise<TokenReview> {
  const { token = "", audiences = [] } = review.spec;
  const answer = (status: NonNullable<TokenReview["status"]>): TokenReview => ({ ...review, status });
  try {
    const found = await tokens.authenticateToken(token, audiences.length > 0 ? audiences : apiAudiences);
    if (!found) return answer({ user: {}, error: "invalid bearer token" });
    // An authenticator that knows no audiences vouches for none but the API server's own.
    const matching = found.audiences ?? apiAudiences.filter((one) => audiences.length === 0 || audiences.includes(one));
    if (matching.length === 0)
      return answer({
        user: {},
        error: `token audiences are invalid for the target audiences ${JSON.stringify(audiences)}`,
      });
    return answer({
      authenticated: true,
      user: userInfoOf(withAuthenticatedGroup(found.user)),
      audiences: [...matching],
    });
  } catch (error) {
    if (error instanceof TokenError) return answer({ user: {}, error: error.message });
    throw error;
  }
}

/** A user as authentication.k8s.io/v1 and admission reviews show it. */
function userInfoOf(user: User): UserInfo {
  return {
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    ...(user.groups.length > 0 ? { groups: [...user.groups] } : {}),
    ...(user.extra
      ? { extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])) }
      : {}),
  };
}
