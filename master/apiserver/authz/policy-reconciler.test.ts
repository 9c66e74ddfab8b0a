import { describe, expect, test } from "bun:test";
import type { ClusterRole, ClusterRoleBinding, PolicyRule } from "#shared/api/types/rbac-v1.generated.ts";
import { reconciledBinding, reconciledRole } from "./policy-reconciler.ts";

const autoupdate = "rbac.authorization.kubernetes.io/autoupdate";
const rule = (...verbs: string[]): PolicyRule => ({ verbs, apiGroups: [""], resources: ["pods"] });
const role = (rules: PolicyRule[], more: Partial<ClusterRole> = {}): ClusterRole => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  metadata: { name: "r", labels: { a: "b" } },
  rules,
  ...more,
});
const binding = (roleName: string, ...names: string[]): ClusterRoleBinding => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRoleBinding",
  metadata: { name: "b" },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: roleName },
  subjects: names.map((name) => ({ kind: "User", apiGroup: "rbac.authorization.k8s.io", name })),
});

describe("a role of the policy", () => {
  test("that has all, or more, is left as it is", () => {
    expect(reconciledRole(role([rule("get", "delete")]), role([rule("get")]))).toBeUndefined();
  });

  test("gets what is missing, and keeps what people added", () => {
    expect(reconciledRole(role([rule("delete")]), role([rule("get")]))).toMatchObject({
      update: { rules: [rule("delete"), rule("get")] },
    });
  });

  test("gets its labels back, but not over others of the same key", () => {
    const changed = role([], { metadata: { name: "r", labels: { a: "mine" }, annotations: {} } });
    expect(reconciledRole(changed, role([]))).toBeUndefined();
    expect(reconciledRole(role([], { metadata: { name: "r" } }), role([]))).toMatchObject({
      update: { metadata: { labels: { a: "b" } } },
    });
  });

  test("is left alone when it says so", () => {
    const own = role([], { metadata: { name: "r", annotations: { [autoupdate]: "false" } } });
    expect(reconciledRole(own, role([rule("get")]))).toBeUndefined();
  });

  test("loses an aggregation that it should not have, and gets selectors that it lacks", () => {
    const selector = { matchLabels: { x: "y" } };
    const aggregating = role([], { aggregationRule: { clusterRoleSelectors: [selector] } });
    const result = reconciledRole(aggregating, role([])) as { update: ClusterRole };
    expect(result.update.aggregationRule).toBeUndefined();
    expect(reconciledRole(role([]), aggregating)).toMatchObject({
      update: { aggregationRule: { clusterRoleSelectors: [selector] } },
    });
  });
});

describe("a binding of the policy", () => {
  test("gets its subjects, and is made anew when it binds another role", () => {
    expect(reconciledBinding(binding("r", "x", "y"), binding("r", "x"))).toBeUndefined();
    expect(reconciledBinding(binding("r", "y"), binding("r", "x"))).toMatchObject({
      update: { subjects: [{ name: "y" }, { name: "x" }] },
    });
    expect(reconciledBinding(binding("other", "x"), binding("r", "x"))).toBe("recreate");
  });
});
