import { describe, expect, test } from "bun:test";
import { clusterRoleBindings, clusterRoles, roleBindings } from "#shared/api/resources.ts";
import type { ClusterRole, PolicyRule, RoleBinding } from "#shared/api/types/rbac-v1.generated.ts";
import { admit, writeOf } from "../../../test/support/admission.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import { EscalationCheck } from "./escalation.ts";
import { RbacAuthorizer } from "./rbac.ts";

const apiVersion = "rbac.authorization.k8s.io/v1" as const;
const apiGroup = "rbac.authorization.k8s.io";
const role = (name: string, rules: PolicyRule[], more: Partial<ClusterRole> = {}): ClusterRole => ({
  apiVersion,
  kind: "ClusterRole",
  metadata: { name },
  rules,
  ...more,
});
const podRules = (...verbs: string[]): PolicyRule => ({ verbs, apiGroups: [""], resources: ["pods"] });
const user = { name: "anna", groups: ["developers"] };

/** A cluster in which anna holds these rules. */
function checkWith(...held: PolicyRule[]): EscalationCheck {
  const reader = new MapReader()
    .put(clusterRoles, role("held", held), role("powerful", [podRules("*")]))
    .put(clusterRoleBindings, {
      apiVersion,
      kind: "ClusterRoleBinding",
      metadata: { name: "held" },
      roleRef: { apiGroup, kind: "ClusterRole", name: "held" },
      subjects: [{ kind: "User", apiGroup, name: "anna" }],
    });
  const rbac = new RbacAuthorizer(reader);
  return new EscalationCheck(rbac, rbac);
}

const binding = (name: string): RoleBinding => ({
  apiVersion,
  kind: "RoleBinding",
  metadata: { name: "b", namespace: "blue" },
  roleRef: { apiGroup, kind: "ClusterRole", name },
  subjects: [],
});

describe("EscalationCheck", () => {
  test("a role may hold what its writer holds, and no more", async () => {
    const check = checkWith(podRules("get", "list"));
    await admit(check, writeOf(clusterRoles, role("r", [podRules("get")]), { user }));
    await expect(
      admit(check, writeOf(clusterRoles, role("r", [podRules("get", "delete", "update")]), { user })),
    ).rejects.toThrow(
      'clusterroles.rbac.authorization.k8s.io "r" is forbidden: user "anna" (groups=["developers"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete" "update"]}',
    );
  });

  test("escalate and bind are the way around", async () => {
    const on = (verb: string, resource: string): PolicyRule => ({
      verbs: [verb],
      apiGroups: [apiGroup],
      resources: [resource],
    });
    await admit(checkWith(on("escalate", "clusterroles")), writeOf(clusterRoles, role("r", [podRules("*")]), { user }));
    await admit(checkWith(on("bind", "clusterroles")), writeOf(roleBindings, binding("powerful"), { user }));
    await admit(
      checkWith(),
      writeOf(clusterRoles, role("r", [podRules("*")]), { user: { name: "x", groups: ["system:masters"] } }),
    );
  });

  test("a binding gives what its writer holds, and no more", async () => {
    await expect(
      admit(checkWith(podRules("get")), writeOf(roleBindings, binding("powerful"), { user })),
    ).rejects.toThrow("attempting to grant RBAC permissions not currently held");
    await admit(checkWith(podRules("*")), writeOf(roleBindings, binding("powerful"), { user }));
    await expect(admit(checkWith(), writeOf(roleBindings, binding("ghost"), { user }))).rejects.toThrow(
      'rolebindings.rbac.authorization.k8s.io "ghost" not found',
    );
  });

  test("aggregation takes everything", async () => {
    const aggregating = role("r", [], { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] } });
    await expect(admit(checkWith(podRules("*")), writeOf(clusterRoles, aggregating, { user }))).rejects.toThrow(
      "must have cluster-admin privileges to use the aggregationRule",
    );
  });

  test("the garbage collector may take owners off", async () => {
    const old = role("r", [podRules("*")], {
      metadata: { name: "r", ownerReferences: [{ apiVersion: "v1", kind: "X", name: "x", uid: "1" }] },
    });
    const update = writeOf(clusterRoles, role("r", [podRules("*")]), { user, operation: "UPDATE", oldObject: old });
    await admit(checkWith(), update);
  });
});
