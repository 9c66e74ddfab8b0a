import { joinErrors } from "#shared/api/joined-errors.ts";
import type { PolicyRule } from "#shared/api/types/rbac-v1.generated.ts";
import type { User } from "../request.ts";
import type { AbacAuthorizer } from "./abac.ts";
import type { AuthorizerMode } from "./authorization-configuration.ts";
import type { Attributes, Authorizer, Decision } from "./authorizer.ts";
import { nodeNameOf } from "./node.ts";
import type { RbacAuthorizer } from "./rbac.ts";

/** Members may do everything, whatever the roles say: the way back in when roles are broken. */
export const privilegedGroup: Authorizer = {
  authorize({ user }) {
    return user.groups.includes("system:masters")
      ? { outcome: "allow", reason: "" }
      : { outcome: "no-opinion", reason: "" };
  },
};

/** Asks each in turn; the first that allows or denies decides. Reasons of those without an opinion are joined. */
export const authorizerChain = (authorizers: readonly Authorizer[]): Authorizer => ({
  authorize: (attributes) => ask(authorizers, 0, attributes, []),
});

/** @param passed what those before `from` have said, who had no opinion. */
function ask(
  authorizers: readonly Authorizer[],
  from: number,
  attributes: Attributes,
  passed: readonly Decision[],
): Promise<Decision> | Decision {
  const authorizer = authorizers[from];
  if (!authorizer) return undecided(passed);
  const next = (decision: Decision): Promise<Decision> | Decision =>
    decision.outcome === "no-opinion" ? ask(authorizers, from + 1, attributes, [...passed, decision]) : decision;
  const decision = authorizer.authorize(attributes);
  return decision instanceof Promise ? decision.then(next) : next(decision);
}

function undecided(passed: readonly Decision[]): Decision {
  const reasons = passed.map(({ reason }) => reason).filter((reason) => reason !== "");
  const errors = passed.flatMap(({ error }) => error ?? []);
  const error = errors.length > 0 ? { error: joinErrors(errors) } : {};
  return { outcome: "no-opinion", reason: reasons.join("\n"), ...error };
}

/** What a user may do in a namespace, as SelfSubjectRulesReview lists it. */
export interface ResolvedRules {
  readonly rules: readonly PolicyRule[];
  /** The list may lack rules. */
  readonly incomplete: boolean;
  readonly evaluationError?: string | undefined;
}

interface AskedInTurn {
  readonly types: readonly AuthorizerMode[];
  readonly rbac: RbacAuthorizer;
  readonly abac?: AbacAuthorizer | undefined;
}

/** Rules of the whole chain, of each authoriser in turn, and notes of those that cannot list theirs. */
export function rulesOfUser({ types, rbac, abac }: AskedInTurn, user: User, namespace: string): ResolvedRules {
  const rules: PolicyRule[] = [];
  const problems: string[] = [];
  let incomplete = false;
  for (const type of types) {
    switch (type) {
      case "AlwaysAllow":
        rules.push({ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }, { verbs: ["*"], nonResourceURLs: ["*"] });
        break;
      case "AlwaysDeny":
        break;
      case "ABAC":
        rules.push(...(abac?.rulesFor(user, namespace) ?? []));
        break;
      case "Node":
        if (nodeNameOf(user) === undefined) break;
        incomplete = true;
        problems.push("node authorizer does not support user rule resolution");
        break;
      case "RBAC": {
        const found = rbac.rulesFor(user, namespace);
        rules.push(...found.rules);
        if (found.errors.length > 0) problems.push(joinErrors(found.errors));
        break;
      }
      case "Webhook":
        incomplete = true;
        problems.push("webhook authorizer does not support user rule resolution");
    }
  }
  return { rules, incomplete, ...(problems.length > 0 ? { evaluationError: joinErrors(problems) } : {}) };
}
