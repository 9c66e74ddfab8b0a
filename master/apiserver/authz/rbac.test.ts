import { describe, expect, test } from "bun:test";
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from "#shared/api/resources.ts";
import type { PolicyRule, Subject } from "#shared/api/types/rbac-v1.generated.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import type { User } from "../request.ts";
import type { Attributes } from "./authorizer.ts";
import { bootstrapPolicy } from "./bootstrap-policy.ts";
import { RbacAuthorizer } from "./rbac.ts";
import { describeRule, missingRules, ruleAllows } from "./rbac-rules.ts";
import { resourceAttributes } from "./testing.ts";

const apiVersion = "rbac.authorization.k8s.io/v1" as const;
const apiGroup = "rbac.authorization.k8s.io";
const anna: User = { name: "anna", groups: ["developers"] };

const resource = (verb: string, what: string, more: Partial<Attributes> = {}): Attributes =>
  resourceAttributes(anna, verb, what, more);

const url = (verb: string, path: string): Attributes => ({
  user: anna,
  verb,
  isResourceRequest: false,
  path,
  group: "",
  version: "",
  resource: "",
});

describe("ruleAllows", () => {
  const cases: [string, PolicyRule, Attributes, boolean][] = [
    ["exact", { verbs: ["get"], apiGroups: [""], resources: ["pods"] }, resource("get", "pods"), true],
    ["other verb", { verbs: ["get"], apiGroups: [""], resources: ["pods"] }, resource("list", "pods"), false],
    ["other group", { verbs: ["*"], apiGroups: ["apps"], resources: ["*"] }, resource("get", "pods"), false],
    ["all groups", { verbs: ["*"], apiGroups: ["*"], resources: ["pods"] }, resource("get", "pods@x"), true],
    ["subresource apart", { verbs: ["*"], apiGroups: [""], resources: ["pods"] }, resource("get", "pods/log"), false],
    ["subresource", { verbs: ["*"], apiGroups: [""], resources: ["pods/log"] }, resource("get", "pods/log"), true],
    ["*/sub", { verbs: ["*"], apiGroups: [""], resources: ["*/scale"] }, resource("get", "x/scale"), true],
    ["*/sub not main", { verbs: ["*"], apiGroups: [""], resources: ["*/scale"] }, resource("get", "scale"), false],
    [
      "pods/* is no pattern",
      { verbs: ["*"], apiGroups: [""], resources: ["pods/*"] },
      resource("get", "pods/log"),
      false,
    ],
    [
      "name",
      { verbs: ["*"], apiGroups: [""], resources: ["pods"], resourceNames: ["a"] },
      resource("get", "pods", { name: "a" }),
      true,
    ],
    [
      "name asked for all",
      { verbs: ["*"], apiGroups: [""], resources: ["pods"], resourceNames: ["a"] },
      resource("list", "pods"),
      false,
    ],
    ["url", { verbs: ["get"], nonResourceURLs: ["/healthz"] }, url("get", "/healthz"), true],
    ["url pattern", { verbs: ["get"], nonResourceURLs: ["/api/*"] }, url("get", "/api/v1"), true],
    ["url pattern needs its slash", { verbs: ["get"], nonResourceURLs: ["/api/*"] }, url("get", "/api"), false],
    ["url wildcard inside is plain", { verbs: ["get"], nonResourceURLs: ["/a*b"] }, url("get", "/axb"), false],
    ["resource rule on url", { verbs: ["*"], apiGroups: ["*"], resources: ["*"] }, url("get", "/healthz"), false],
  ];
  test.each(cases)("%s", (_name, rule, request, allowed) => {
    expect(ruleAllows(rule, request)).toBe(allowed);
  });
});

describe("missingRules", () => {
  const held: PolicyRule[] = [
    { verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "*/scale"] },
    { verbs: ["*"], apiGroups: ["apps"], resources: ["deployments"], resourceNames: ["a", "b"] },
    { verbs: ["get"], nonResourceURLs: ["/logs/*"] },
  ];
  const cases: [string, PolicyRule, string[]][] = [
    ["covered", { verbs: ["get"], apiGroups: [""], resources: ["pods"] }, []],
    ["covered by */sub", { verbs: ["get"], apiGroups: [""], resources: ["x/scale"] }, []],
    [
      "one verb too many",
      { verbs: ["get", "delete"], apiGroups: [""], resources: ["pods"] },
      ['{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'],
    ],
    ["named", { verbs: ["get"], apiGroups: ["apps"], resources: ["deployments"], resourceNames: ["a"] }, []],
    [
      "all names",
      { verbs: ["get"], apiGroups: ["apps"], resources: ["deployments"] },
      ['{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}'],
    ],
    ["url", { verbs: ["get"], nonResourceURLs: ["/logs/a", "/logs/*"] }, []],
    ["other url", { verbs: ["get"], nonResourceURLs: ["/x"] }, ['{NonResourceURLs:["/x"], Verbs:["get"]}']],
  ];
  test.each(cases)("%s", (_name, wanted, missing) => {
    expect(missingRules(held, [wanted]).map(describeRule)).toEqual(missing);
  });
});

const readPods: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };

function role(name: string, rules: PolicyRule[]) {
  return { apiVersion, kind: "ClusterRole" as const, metadata: { name }, rules };
}

function bindingTo(name: string, roleName: string, subjects: Subject[], namespace?: string) {
  return {
    apiVersion,
    metadata: { name, ...(namespace ? { namespace } : {}) },
    roleRef: { apiGroup, kind: "ClusterRole", name: roleName },
    subjects,
  };
}

describe("RbacAuthorizer", () => {
  test("a cluster-wide binding allows everywhere, with upstream's reason", async () => {
    const reader = new MapReader().put(clusterRoles, role("pod-reader", [readPods]));
    reader.put(clusterRoleBindings, {
      ...bindingTo("readers", "pod-reader", [{ kind: "Group", apiGroup, name: "developers" }]),
      kind: "ClusterRoleBinding",
    });
    const rbac = new RbacAuthorizer(reader);
    expect(await rbac.authorize(resource("get", "pods", { namespace: "x" }))).toEqual({
      outcome: "allow",
      reason: 'RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "pod-reader" to Group "developers"',
    });
    expect(await rbac.authorize(resource("get", "secrets"))).toEqual({ outcome: "no-opinion", reason: "" });
  });

  test("a binding's many subjects are not looked along for each request", async () => {
    const subjects = Array.from({ length: 100_000 }, (_, index) => ({ kind: "User", apiGroup, name: `user-${index}` }));
    const reader = new MapReader().put(clusterRoles, role("pod-reader", [readPods]));
    reader.put(clusterRoleBindings, { ...bindingTo("all", "pod-reader", subjects), kind: "ClusterRoleBinding" });
    const rbac = new RbacAuthorizer(reader);
    const user = { name: subjects.at(-1)?.name ?? "", groups: [] };
    // Looking along them takes minutes.
    for (let times = 0; times < 20_000; times += 1)
      expect((await rbac.authorize(resource("get", "pods", { user }))).outcome).toBe("allow");
  });

  test("a binding in a namespace allows there alone; a service account without namespace is the binding's", async () => {
    const reader = new MapReader().put(clusterRoles, role("pod-reader", [readPods]));
    reader.put(roleBindings, {
      ...bindingTo("readers", "pod-reader", [{ kind: "ServiceAccount", name: "robot" }], "blue"),
      kind: "RoleBinding",
    });
    const rbac = new RbacAuthorizer(reader);
    const user = { name: "system:serviceaccount:blue:robot", groups: [] };
    expect(await rbac.authorize(resource("get", "pods", { user, namespace: "blue" }))).toEqual({
      outcome: "allow",
      reason: 'RBAC: allowed by RoleBinding "readers/blue" of ClusterRole "pod-reader" to ServiceAccount "robot/blue"',
    });
    expect((await rbac.authorize(resource("get", "pods", { user, namespace: "red" }))).outcome).toBe("no-opinion");
    expect((await rbac.authorize(resource("get", "pods", { user }))).outcome).toBe("no-opinion");
  });

  test("changes of roles and bindings count at once, and a missing role is named", async () => {
    const reader = new MapReader();
    const rbac = new RbacAuthorizer(reader);
    reader.put(roleBindings, {
      apiVersion,
      kind: "RoleBinding",
      metadata: { name: "b", namespace: "blue" },
      roleRef: { apiGroup, kind: "Role", name: "late" },
      subjects: [{ kind: "User", apiGroup, name: "anna" }],
    });
    const ask = () => rbac.authorize(resource("get", "pods", { namespace: "blue" }));
    expect(await ask()).toEqual({
      outcome: "no-opinion",
      reason: 'RBAC: role.rbac.authorization.k8s.io "late" not found',
    });
    reader.put(roles, { apiVersion, kind: "Role", metadata: { name: "late", namespace: "blue" }, rules: [readPods] });
    expect((await ask()).outcome).toBe("allow");
    reader.remove(roleBindings, { namespace: "blue", name: "b" });
    expect(await ask()).toEqual({ outcome: "no-opinion", reason: "" });
  });

  test("an update of a binding's subjects drops the old ones", async () => {
    const reader = new MapReader().put(clusterRoles, role("pod-reader", [readPods]));
    const rbac = new RbacAuthorizer(reader);
    const bind = (name: string) =>
      reader.put(clusterRoleBindings, {
        ...bindingTo("b", "pod-reader", [{ kind: "User", apiGroup, name }]),
        kind: "ClusterRoleBinding",
      });
    bind("anna");
    expect((await rbac.authorize(resource("get", "pods"))).outcome).toBe("allow");
    bind("berta");
    expect((await rbac.authorize(resource("get", "pods"))).outcome).toBe("no-opinion");
  });
});

test("the rules of a role that is bound many times are read once", async () => {
  let reads = 0;
  const counted: PolicyRule = {
    get verbs() {
      reads += 1;
      return ["get"];
    },
    apiGroups: [""],
    resources: ["configmaps"],
  };
  const reader = new MapReader().put(roles, {
    apiVersion,
    kind: "Role",
    metadata: { name: "large", namespace: "blue" },
    rules: [counted],
  });
  for (let index = 0; index < 100; index += 1)
    reader.put(roleBindings, {
      apiVersion,
      kind: "RoleBinding",
      metadata: { name: `b${index}`, namespace: "blue" },
      roleRef: { apiGroup, kind: "Role", name: "large" },
      subjects: [{ kind: "User", apiGroup, name: "anna" }],
    });
  const rbac = new RbacAuthorizer(reader);
  expect((await rbac.authorize(resource("get", "pods", { namespace: "blue" }))).outcome).toBe("no-opinion");
  expect(reads).toBe(1);
  expect(rbac.rulesFor(anna, "blue").rules).toHaveLength(1);
});

describe("the bootstrap policy", () => {
  const policy = bootstrapPolicy();
  const reader = new MapReader()
    .put(clusterRoles, ...policy.clusterRoles)
    .put(clusterRoleBindings, ...policy.clusterRoleBindings)
    .put(roles, ...policy.roles)
    .put(roleBindings, ...policy.roleBindings);
  const rbac = new RbacAuthorizer(reader);
  const account = (name: string): User => ({
    name: `system:serviceaccount:kube-system:${name}`,
    groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
  });
  const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };
  const known: User = { name: "x", groups: ["system:authenticated"] };
  const node: User = { name: "system:node:a", groups: ["system:nodes", "system:authenticated"] };
  const joiner: User = {
    name: "system:bootstrap:abcdef",
    groups: ["system:bootstrappers", "system:bootstrappers:bramble:boards", "system:authenticated"],
  };
  const cases: [string, User, Attributes, boolean][] = [
    ["master of all", { name: "admin", groups: ["system:masters"] }, resource("delete", "nodes"), true],
    ["anonymous health", anonymous, url("get", "/healthz"), true],
    ["anonymous version", anonymous, url("get", "/version"), true],
    ["anonymous discovery", anonymous, url("get", "/apis"), false],
    ["anonymous pods", anonymous, resource("list", "pods"), false],
    ["known discovery", known, url("get", "/apis/apps/v1"), true],
    ["known asks about itself", known, resource("create", "selfsubjectaccessreviews@authorization.k8s.io"), true],
    ["known secrets", known, resource("get", "secrets", { namespace: "a" }), false],
    ["replica sets make pods", account("replicaset-controller"), resource("create", "pods", { namespace: "a" }), true],
    ["replica sets read no secrets", account("replicaset-controller"), resource("get", "secrets"), false],
    ["the collector deletes anything", account("generic-garbage-collector"), resource("delete", "foos@bar.io"), true],
    [
      "scheduler binds",
      { name: "system:kube-scheduler", groups: ["system:authenticated"] },
      resource("create", "pods/binding", { namespace: "a" }),
      true,
    ],
    ["service account discovery", account("x"), url("get", "/openid/v1/jwks"), true],
    ["boards see services", node, resource("watch", "services"), true],
    ["boards see no secrets by role", node, resource("get", "secrets", { namespace: "a", name: "s" }), false],
    ["a token joins", joiner, url("post", "/bramble/v1/join"), true],
    [
      "a token asks for a certificate",
      joiner,
      resource("create", "certificatesigningrequests@certificates.k8s.io"),
      true,
    ],
    ["a token reads nothing else", joiner, resource("list", "nodes"), false],
    ["nobody else joins", known, url("post", "/bramble/v1/join"), false],
    [
      "a board whose certificate has run out asks for another",
      { name: "system:anonymous", groups: ["system:unauthenticated"] },
      url("post", "/bramble/v1/renew"),
      true,
    ],
  ];
  test.each(cases)("%s", async (_name, user, request, allowed) => {
    expect((await rbac.authorize({ ...request, user })).outcome).toBe(allowed ? "allow" : "no-opinion");
  });

  test("every binding points to a role that exists", () => {
    const names = new Set(policy.clusterRoles.map((one) => one.metadata.name));
    for (const binding of policy.clusterRoleBindings) expect(names).toContain(binding.roleRef.name);
  });
});
