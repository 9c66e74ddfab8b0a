import { joinErrors } from "#shared/api/joined-errors.ts";
import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from "#shared/api/resources.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from "#shared/api/types/rbac-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { User } from "../request.ts";
import type { Attributes, Authorizer, Decision } from "./authorizer.ts";
import { ruleAllows } from "./rbac-rules.ts";

type Binding = RoleBinding | ClusterRoleBinding;

/** A binding that applies to a user, and the subject through which it does. */
interface AppliedBinding {
  readonly binding: Binding;
  readonly subject: Subject;
}

export interface UserRules {
  readonly rules: readonly PolicyRule[];
  /** Why some could not be found: `clusterrole.rbac.authorization.k8s.io "x" not found`. */
  readonly errors: readonly string[];
}

/**
 * Role based access control (rbac.authorization.k8s.io/v1) over the reader. Bindings are indexed by subject and kept
 * current by the reader's changes, so a check looks at the bindings of the user and their groups alone.
 */
export class RbacAuthorizer implements Authorizer {
  readonly #rules = new Map<string, readonly PolicyRule[]>();
  readonly #bindings = new Map<string, Binding>();
  /** `<namespace or nothing>|<subject>` to the keys of the bindings that name it, and as what. */
  readonly #bySubject = new Map<string, Map<string, Subject>>();
  readonly #stops: (() => void)[];

  constructor(private readonly reader: ResourceReader) {
    this.#stops = [
      this.#follow<ClusterRole>(clusterRoles, (role, gone) =>
        this.#setRules(roleKey("", role.metadata.name), role, gone),
      ),
      this.#follow<Role>(roles, (role, gone) =>
        this.#setRules(roleKey(role.metadata.namespace ?? "", role.metadata.name), role, gone),
      ),
      this.#follow<ClusterRoleBinding>(clusterRoleBindings, (binding, gone) => this.#setBinding(binding, gone)),
      this.#follow<RoleBinding>(roleBindings, (binding, gone) => this.#setBinding(binding, gone)),
    ];
  }

  /** Ends following changes. */
  stop(): void {
    for (const stop of this.#stops) stop();
  }

  authorize(attributes: Attributes): Decision {
    const errors: string[] = [];
    for (const { applied, rules } of this.#rulesThatApply(attributes.user, attributes.namespace ?? "")) {
      if (typeof rules === "string") errors.push(rules);
      else if (rules.some((rule) => ruleAllows(rule, attributes)))
        return { outcome: "allow", reason: `RBAC: allowed by ${describe(applied)}` };
    }
    return { outcome: "no-opinion", reason: errors.length > 0 ? `RBAC: ${joinErrors(errors)}` : "" };
  }

  /** All rules that apply to a user, cluster-wide and in `namespace`; a role's once, however often it is bound. */
  rulesFor(user: User, namespace: string): UserRules {
    const rules: PolicyRule[] = [];
    const errors: string[] = [];
    for (const { rules: found } of this.#rulesThatApply(user, namespace)) {
      if (typeof found === "string") errors.push(found);
      else for (const rule of found) rules.push(rule);
    }
    return { rules, errors };
  }

  /** Rules of the role that a binding in `namespace` points to, or the text of why there are none. */
  rulesOfRole(ref: RoleRef, namespace: string): readonly PolicyRule[] | string {
    if (ref.kind !== "Role" && ref.kind !== "ClusterRole")
      return `unsupported role reference kind: ${goQuote(ref.kind)}`;
    const rules = this.#rules.get(roleKey(ref.kind === "Role" ? namespace : "", ref.name));
    return rules ?? `${ref.kind.toLowerCase()}.rbac.authorization.k8s.io ${goQuote(ref.name)} not found`;
  }

  /**
   * Each role once, by the first binding that names it, with its rules or the text of why there are none. Bindings take a few bytes
   * each: who may make them in a namespace could otherwise have the rules of one large role read ten thousand times a request.
   */
  *#rulesThatApply(
    user: User,
    namespace: string,
  ): Iterable<{ readonly applied: AppliedBinding; readonly rules: readonly PolicyRule[] | string }> {
    const seen = new Set<readonly PolicyRule[] | string>();
    for (const applied of this.#appliedTo(user, namespace)) {
      const { roleRef, metadata } = applied.binding;
      const rules = this.rulesOfRole(roleRef, metadata.namespace ?? "");
      if (seen.has(rules)) continue;
      seen.add(rules);
      yield { applied, rules };
    }
  }

  *#appliedTo(user: User, namespace: string): Iterable<AppliedBinding> {
    const subjects = [`User:${user.name}`, ...user.groups.map((group) => `Group:${group}`)];
    const seen = new Set<string>();
    for (const scope of namespace === "" ? [""] : ["", namespace])
      for (const subject of subjects)
        for (const [key, found] of this.#bySubject.get(`${scope}|${subject}`) ?? []) {
          if (seen.has(key)) continue;
          seen.add(key);
          const binding = this.#bindings.get(key);
          if (binding) yield { binding, subject: found };
        }
  }

  #follow<T extends KubeObject>(ref: ResourceRef<T>, apply: (object: T, gone: boolean) => void): () => void {
    const stop = this.reader.onChange(ref, (object, type) => apply(object, type === "DELETED"));
    for (const object of this.reader.list(ref)) apply(object, false);
    return stop;
  }

  #setRules(key: string, role: ClusterRole | Role, gone: boolean): void {
    if (gone) this.#rules.delete(key);
    else this.#rules.set(key, role.rules ?? []);
  }

  #setBinding(binding: Binding, gone: boolean): void {
    const key = keyOf(binding);
    const scope = binding.metadata.namespace ?? "";
    const old = this.#bindings.get(key);
    for (const subject of old?.subjects ?? []) {
      const indexKey = `${scope}|${subjectKey(subject, scope)}`;
      const keys = this.#bySubject.get(indexKey);
      keys?.delete(key);
      if (keys?.size === 0) this.#bySubject.delete(indexKey);
    }
    this.#bindings.delete(key);
    if (gone) return;
    this.#bindings.set(key, binding);
    for (const subject of binding.subjects ?? []) {
      const indexKey = `${scope}|${subjectKey(subject, scope)}`;
      const keys = this.#bySubject.get(indexKey);
      if (!keys) this.#bySubject.set(indexKey, new Map([[key, subject]]));
      else if (!keys.has(key)) keys.set(key, subject);
    }
  }
}

/** What a subject is to the index; a service account is the user that its tokens are. */
function subjectKey(subject: Subject, bindingNamespace: string): string | undefined {
  if (subject.kind === "User" || subject.kind === "Group") return `${subject.kind}:${subject.name}`;
  const namespace = subject.namespace || bindingNamespace;
  if (subject.kind !== "ServiceAccount" || namespace === "") return undefined;
  return `User:system:serviceaccount:${namespace}:${subject.name}`;
}

function describe({ binding, subject }: AppliedBinding): string {
  const { name, namespace } = binding.metadata;
  const bindingName = namespace === undefined ? name : `${name}/${namespace}`;
  const subjectName =
    subject.kind === "ServiceAccount" ? `${subject.name}/${subject.namespace || (namespace ?? "")}` : subject.name;
  return (
    `${namespace === undefined ? "ClusterRoleBinding" : "RoleBinding"} ${goQuote(bindingName ?? "")} ` +
    `of ${binding.roleRef.kind} ${goQuote(binding.roleRef.name)} to ${subject.kind} ${goQuote(subjectName)}`
  );
}

const roleKey = (namespace: string, name: string | undefined): string => `${namespace}/${name ?? ""}`;
