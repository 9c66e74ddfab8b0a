import { forbidden, notFound, type StatusError } from "#shared/api/errors.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { goQuote, goQuoteAll } from "#shared/api/selector/go-quote.ts";
import type { ClusterRole, PolicyRule, RoleBinding } from "#shared/api/types/rbac-v1.generated.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission/admission.ts";
import type { User } from "../request.ts";
import type { Authorizer } from "./authorizer.ts";
import type { RbacAuthorizer } from "./rbac.ts";
import { compactRules, describeRule, missingRules, TooManyGrants } from "./rbac-rules.ts";

const rbacGroup = "rbac.authorization.k8s.io";
const everything: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/**
 * Nobody grants what they do not hold: who writes a role must hold its rules (or the verb `escalate` on it), who binds
 * one must hold the rules of the role bound (or `bind`). Upstream has it in the storage of these four kinds: what is
 * wrong with a role otherwise is told to those alone who may give it.
 */
export class EscalationCheck implements AdmissionPlugin {
  readonly name = "RBACEscalation";

  constructor(
    private readonly authorizer: Authorizer,
    private readonly rbac: RbacAuthorizer,
  ) {}

  guard(request: AdmissionAttributes): Promise<void> | undefined {
    const { declaration, operation, object, user } = request;
    if (declaration.ref.group !== rbacGroup || !object || request.subresource) return;
    if (operation !== "CREATE" && operation !== "UPDATE") return;
    if (user.groups.includes("system:masters")) return;
    if (request.oldObject && onlyCollectorFieldsChanged(object, request.oldObject)) return;
    switch (declaration.ref.plural) {
      case "roles":
      case "clusterroles":
        return this.#checkRole(request, object as ClusterRole);
      case "rolebindings":
      case "clusterrolebindings":
        return this.#checkBinding(request, object as RoleBinding);
      default:
        return;
    }
  }

  async #checkRole(request: AdmissionAttributes, role: ClusterRole): Promise<void> {
    if (await this.#mayDo(request, "escalate", request.declaration.ref.plural, request.name)) return;
    this.#assertHeld(request, role.rules ?? []);
    const old = request.oldObject as ClusterRole | undefined;
    const aggregates = [role, old].some((one) => one?.aggregationRule?.clusterRoleSelectors?.length);
    if (aggregates && this.#missing(request, everything).length > 0)
      throw this.#refusal(request, "must have cluster-admin privileges to use the aggregationRule");
  }

  async #checkBinding(request: AdmissionAttributes, { roleRef }: RoleBinding): Promise<void> {
    const plural = roleRef.kind === "ClusterRole" ? "clusterroles" : roleRef.kind === "Role" ? "roles" : undefined;
    if (plural && (await this.#mayDo(request, "bind", plural, roleRef.name))) return;
    const rules = this.rbac.rulesOfRole(roleRef, request.namespace ?? "");
    // By the name of what was asked for, the binding, as everything that its storage answers.
    if (typeof rules === "string") throw notFound(request.declaration.ref, roleRef.name);
    this.#assertHeld(request, rules);
  }

  async #mayDo(
    { user, namespace }: AdmissionAttributes,
    verb: string,
    resource: string,
    name: string,
  ): Promise<boolean> {
    const decision = await this.authorizer.authorize({
      user,
      verb,
      isResourceRequest: true,
      path: "",
      group: rbacGroup,
      version: "*",
      resource,
      ...(namespace ? { namespace } : {}),
      ...(name ? { name } : {}),
    });
    return decision.outcome === "allow";
  }

  #missing(request: AdmissionAttributes, rules: readonly PolicyRule[]): PolicyRule[] {
    const { user, namespace } = request;
    try {
      return missingRules(this.rbac.rulesFor(user, namespace ?? "").rules, rules);
    } catch (error) {
      if (!(error instanceof TooManyGrants)) throw error;
      throw this.#refusal(request, `what user ${goQuote(user.name)} may grant cannot be told: ${error.message}`);
    }
  }

  #assertHeld(request: AdmissionAttributes, rules: readonly PolicyRule[]): void {
    const missing = this.#missing(request, rules);
    if (missing.length > 0) throw this.#refusal(request, describeMissing(request.user, missing));
  }

  #refusal({ declaration, name }: AdmissionAttributes, why: string): StatusError {
    return forbidden({ group: rbacGroup, plural: declaration.ref.plural }, name, why);
  }
}

function describeMissing(user: User, missing: readonly PolicyRule[]): string {
  const lines = compactRules(missing).map(describeRule).sort();
  return (
    `user ${goQuote(user.name)} (groups=${goQuoteAll(user.groups)}) is attempting to grant RBAC permissions ` +
    `not currently held:\n${[...new Set(lines)].join("\n")}`
  );
}

/** Whether a write changes nothing but owner references and finalizers, as the garbage collector does. */
function onlyCollectorFieldsChanged(object: KubeObject, old: KubeObject): boolean {
  const stripped = (one: KubeObject) => {
    const { ownerReferences: _owners, finalizers: _finalizers, managedFields: _managed, ...metadata } = one.metadata;
    return { ...fieldsOf(one), metadata };
  };
  return Bun.deepEquals(stripped(object), stripped(old));
}
