import type { PolicyRule } from "#shared/api/types/rbac-v1.generated.ts";
import type { User } from "../request.ts";
import type { Authorizer } from "./authorizer.ts";
import { nodeNameOf } from "./node.ts";
import { joinErrors, type RbacAuthorizer } from "./rbac.ts";

/** Members may do everything, whatever the roles say: the way back in when roles are broken. */
export const privilegedGroup: Authorizer = {
  async authorize({ user }) {
    return user.groups.includes("system:masters")
      ? { outcome: "allow", reason: "" }
      : { outcome: "no-opinion", reason: "" };
  },
};

/** Asks each in turn; the first that allows or denies decides. Reasons of those without an opinion are joined. */
export function authorizerChain(authorizers: readonly Authorizer[]): Authorizer {
  return {
    async authorize(attributes) {
      const reasons: string[] = [];
      for (const authorizer of authorizers) {
        const decision = await authorizer.authorize(attributes);
        if (decision.outcome !== "no-opinion") return decision;
        if (decision.reason !== "") reasons.push(decision.reason);
      }
      return { outcome: "no-opinion", reason: reasons.join("\n") };
    },
  };
}

/** What a user may do in a namespace, as SelfSubjectRulesReview lists it. */
export interface ResolvedRules {
  readonly rules: readonly PolicyRule[];
  /** The list may lack rules. */
  readonly incomplete: boolean;
  readonly evaluationError?: string | undefined;
}

/** Rules of the whole chain: RBAC's, and for nodes a note that there are more. */
export function rulesOfUser(rbac: RbacAuthorizer, user: User, namespace: string): ResolvedRules {
  const { rules, errors } = rbac.rulesFor(user, namespace);
  const isNode = nodeNameOf(user) !== undefined;
  const problems = [
    ...(isNode ? ["node authorizer does not support user rule resolution"] : []),
    ...(errors.length > 0 ? [joinErrors(errors)] : []),
  ];
  return {
    rules,
    incomplete: isNode,
    ...(problems.length > 0 ? { evaluationError: joinErrors(problems) } : {}),
  };
}
