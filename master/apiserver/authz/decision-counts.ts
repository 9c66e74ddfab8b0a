/** Which authoriser decided what, under upstream's name. */
import { CounterTable } from "#shared/metrics/tables.ts";
import type { AuthorizerMode } from "./authorization-configuration.ts";
import type { Authorizer, Decision } from "./authorizer.ts";

export const authorizationDecisions = new CounterTable({
  name: "apiserver_authorization_decisions_total",
  help: "Decisions that ended the asking, by who made them; members of system:masters are asked nobody for.",
  labels: ["type", "name", "decision"],
});

/** The same authoriser, with what it decides counted; that it has no opinion is no decision. */
export function countedDecisions(type: AuthorizerMode, name: string, authorizer: Authorizer): Authorizer {
  let allowed: { count: number } | undefined;
  const note = (decision: Decision): Decision => {
    if (decision.outcome === "allow") {
      allowed ??= authorizationDecisions.of([type, name, "allowed"]);
      allowed.count += 1;
    } else if (decision.outcome === "deny") authorizationDecisions.add([type, name, "denied"]);
    return decision;
  };
  return {
    authorize(attributes) {
      const decision = authorizer.authorize(attributes);
      return decision instanceof Promise ? decision.then(note) : note(decision);
    },
  };
}
