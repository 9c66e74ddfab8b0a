/** Who may give which rights (escalate, bind, aggregation), and what reviews say of it. */
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { namespace } from "./world.ts";

const rbac = "/apis/rbac.authorization.k8s.io/v1";
const here = `${rbac}/namespaces/${namespace}`;
const merge = "application/merge-patch+json";
const apply = "application/apply-patch+yaml";

interface Asked {
  readonly as?: string;
  readonly groups?: string;
  readonly type?: string;
}

const send = (
  what: string,
  method: string,
  path: string,
  body?: Json,
  { as, groups, type }: Asked = {},
): WireRequest => ({
  name: `access ${what}`,
  method,
  path,
  ...(body && { body }),
  headers: {
    ...(type && { "content-type": type }),
    ...(as && { "impersonate-user": as }),
    ...(groups && { "impersonate-group": groups }),
  },
});

const rbacObject = (kind: string, name: string, more: Json): Json => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind,
  metadata: { name },
  ...more,
});
const roleRef = (kind: string, name: string): Json => ({ apiGroup: "rbac.authorization.k8s.io", kind, name });
const user = (name: string): Json => ({ apiGroup: "rbac.authorization.k8s.io", kind: "User", name });
const rule = (apiGroups: string[], resources: string[], verbs: string[], more: Json = {}): Json => ({
  apiGroups,
  resources,
  verbs,
  ...more,
});
const role = (name: string, rules: readonly Json[]): Json => rbacObject("Role", name, { rules });
const binding = (name: string, ref: Json, subjects: readonly Json[]): Json =>
  rbacObject("RoleBinding", name, { roleRef: ref, subjects });
const anna = { as: "anna" };

/** Anna may write roles and bindings here, and read pods: she can give no more than that. */
const setting: readonly WireRequest[] = [
  send(
    "role of anna",
    "POST",
    `${here}/roles`,
    role("anna", [
      rule(
        ["rbac.authorization.k8s.io"],
        ["roles", "rolebindings"],
        ["get", "list", "create", "update", "patch", "delete"],
      ),
      rule([""], ["pods"], ["get", "list"]),
      rule([""], ["configmaps"], ["get"], { resourceNames: ["one"] }),
    ]),
  ),
  send("anna is bound", "POST", `${here}/rolebindings`, binding("anna", roleRef("Role", "anna"), [user("anna")])),
  send(
    "binder",
    "POST",
    `${rbac}/clusterroles`,
    rbacObject("ClusterRole", "wire-binder", {
      rules: [rule(["rbac.authorization.k8s.io"], ["clusterroles"], ["bind"], { resourceNames: ["view"] })],
    }),
  ),
  send(
    "binder is bound",
    "POST",
    `${here}/rolebindings`,
    binding("binder", roleRef("ClusterRole", "wire-binder"), [user("bert")]),
  ),
  send(
    "bert writes bindings",
    "POST",
    `${here}/rolebindings`,
    binding("bert", roleRef("Role", "anna"), [user("bert")]),
  ),
  send(
    "escalator",
    "POST",
    `${here}/roles`,
    role("escalator", [rule(["rbac.authorization.k8s.io"], ["roles"], ["create", "update", "escalate"])]),
  ),
  send(
    "escalator is bound",
    "POST",
    `${here}/rolebindings`,
    binding("escalator", roleRef("Role", "escalator"), [user("eva")]),
  ),
];

const escalation: readonly WireRequest[] = [
  send("a role within", "POST", `${here}/roles?dryRun=All`, role("within", [rule([""], ["pods"], ["get"])]), anna),
  send(
    "a role within a name",
    "POST",
    `${here}/roles?dryRun=All`,
    role("within", [rule([""], ["configmaps"], ["get"], { resourceNames: ["one"] })]),
    anna,
  ),
  send(
    "a role beyond",
    "POST",
    `${here}/roles?dryRun=All`,
    role("beyond", [rule([""], ["pods"], ["get", "delete"])]),
    anna,
  ),
  send(
    "a role beyond its name",
    "POST",
    `${here}/roles?dryRun=All`,
    role("beyond", [rule([""], ["configmaps"], ["get"])]),
    anna,
  ),
  send("a role of all", "POST", `${here}/roles?dryRun=All`, role("all", [rule(["*"], ["*"], ["*"])]), anna),
  send(
    "two rules beyond",
    "POST",
    `${here}/roles?dryRun=All`,
    role("two", [
      rule([""], ["secrets"], ["get", "list"]),
      rule(["apps"], ["deployments", "deployments/scale"], ["update"]),
    ]),
    anna,
  ),
  send("a role grown", "PUT", `${here}/roles/anna?dryRun=All`, role("anna", [rule([""], ["secrets"], ["get"])]), anna),
  send(
    "a role grown by patch",
    "PATCH",
    `${here}/roles/anna?dryRun=All`,
    { rules: [rule([""], ["nodes"], ["get"])] },
    { ...anna, type: merge },
  ),
  send(
    "a role grown by apply",
    "PATCH",
    `${here}/roles/anna?dryRun=All&fieldManager=a&force=true`,
    role("anna", [rule([""], ["nodes"], ["get"])]),
    { ...anna, type: apply },
  ),
  send(
    "a label on a role",
    "PATCH",
    `${here}/roles/anna?dryRun=All`,
    { metadata: { labels: { a: "b" } } },
    { ...anna, type: merge },
  ),
  send("a role beyond with escalate", "POST", `${here}/roles?dryRun=All`, role("eva", [rule(["*"], ["*"], ["*"])]), {
    as: "eva",
  }),
  send(
    "a cluster role from afar",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "afar", { rules: [] }),
    anna,
  ),
  send(
    "a binding of her own role",
    "POST",
    `${here}/rolebindings?dryRun=All`,
    binding("own", roleRef("Role", "anna"), [user("otto")]),
    anna,
  ),
  send(
    "a binding of view",
    "POST",
    `${here}/rolebindings?dryRun=All`,
    binding("view", roleRef("ClusterRole", "view"), [user("otto")]),
    anna,
  ),
  send(
    "a binding of view with bind",
    "POST",
    `${here}/rolebindings?dryRun=All`,
    binding("view", roleRef("ClusterRole", "view"), [user("otto")]),
    { as: "bert" },
  ),
  send(
    "a binding of edit with bind of view",
    "POST",
    `${here}/rolebindings?dryRun=All`,
    binding("edit", roleRef("ClusterRole", "edit"), [user("otto")]),
    { as: "bert" },
  ),
  send(
    "a binding of no role",
    "POST",
    `${here}/rolebindings?dryRun=All`,
    binding("none", roleRef("Role", "nobody"), [user("otto")]),
    anna,
  ),
  send(
    "a binding of no role by the master",
    "POST",
    `${here}/rolebindings?dryRun=All`,
    binding("none", roleRef("Role", "nobody"), [user("otto")]),
  ),
  send(
    "a binding to another role",
    "PUT",
    `${here}/rolebindings/anna?dryRun=All`,
    binding("anna", roleRef("Role", "escalator"), [user("anna")]),
  ),
  send(
    "an empty subject",
    "POST",
    `${here}/rolebindings?dryRun=All`,
    binding("empty", roleRef("Role", "anna"), [{ kind: "ServiceAccount" }]),
  ),
  send(
    "an odd subject",
    "POST",
    `${here}/rolebindings?dryRun=All`,
    binding("odd", roleRef("Role", "anna"), [{ kind: "Robot", name: "r" }]),
  ),
  send(
    "paths in a role",
    "POST",
    `${here}/roles?dryRun=All`,
    role("paths", [{ nonResourceURLs: ["/x"], verbs: ["get"] }]),
  ),
  send(
    "paths and resources",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "both", { rules: [{ ...rule([""], ["pods"], ["get"]), nonResourceURLs: ["/x"] }] }),
  ),
  send("a rule of no verbs", "POST", `${here}/roles?dryRun=All`, role("none", [rule([""], ["pods"], [])])),
];

const selector = (label: string): Json => ({ clusterRoleSelectors: [{ matchLabels: { "wire/part": label } }] });
const aggregation: readonly WireRequest[] = [
  send(
    "an aggregate",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "wire-sum", { aggregationRule: selector("a"), rules: [] }),
  ),
  send(
    "an aggregate with rules",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "wire-sum", { aggregationRule: selector("a"), rules: [rule([""], ["pods"], ["get"])] }),
  ),
  send(
    "an aggregate of nothing",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "wire-sum", { aggregationRule: {}, rules: [] }),
  ),
  send(
    "an aggregate of all",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "wire-sum", { aggregationRule: { clusterRoleSelectors: [{}] }, rules: [] }),
  ),
  send(
    "an aggregate of a bad label",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "wire-sum", {
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { "a b": "c d" } }] },
      rules: [],
    }),
  ),
  send(
    "writers of cluster roles",
    "POST",
    `${rbac}/clusterroles`,
    rbacObject("ClusterRole", "wire-writer", {
      rules: [rule(["rbac.authorization.k8s.io"], ["clusterroles"], ["get", "create", "update"])],
    }),
  ),
  send(
    "carl is bound",
    "POST",
    `${rbac}/clusterrolebindings`,
    rbacObject("ClusterRoleBinding", "wire-carl", {
      roleRef: roleRef("ClusterRole", "wire-writer"),
      subjects: [user("carl")],
    }),
  ),
  send(
    "an aggregate by carl",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "wire-sum", { aggregationRule: selector("a"), rules: [] }),
    { as: "carl" },
  ),
  send(
    "his own rules by carl",
    "POST",
    `${rbac}/clusterroles?dryRun=All`,
    rbacObject("ClusterRole", "wire-own", { rules: [rule(["rbac.authorization.k8s.io"], ["clusterroles"], ["get"])] }),
    { as: "carl" },
  ),
];

const authorization = "authorization.k8s.io";
const review = (what: string, kind: string, path: string, spec: Json, asked: Asked = {}): WireRequest =>
  send(
    `review ${what}`,
    "POST",
    `/apis/${authorization}/v1/${path}`,
    { apiVersion: `${authorization}/v1`, kind, spec },
    asked,
  );
const self = (what: string, resourceAttributes: Json, asked: Asked = anna): WireRequest =>
  review(what, "SelfSubjectAccessReview", "selfsubjectaccessreviews", { resourceAttributes }, asked);
const local = (what: string, spec: Json): WireRequest =>
  review(what, "LocalSubjectAccessReview", `namespaces/${namespace}/localsubjectaccessreviews`, spec);

const pods = { verb: "get", resource: "pods", namespace };
const reviews: readonly WireRequest[] = [
  self("pods", pods),
  self("pods of another verb", { ...pods, verb: "delete" }),
  self("pods of all verbs", { ...pods, verb: "*" }),
  self("a subresource", { ...pods, subresource: "log" }),
  self("a name", { ...pods, resource: "configmaps", name: "one" }),
  self("another name", { ...pods, resource: "configmaps", name: "two" }),
  self("elsewhere", { ...pods, namespace: "default" }),
  self("everywhere", { verb: "get", resource: "pods" }),
  self(
    "bind",
    { verb: "bind", group: "rbac.authorization.k8s.io", resource: "clusterroles", name: "view", namespace },
    { as: "bert" },
  ),
  self(
    "escalate",
    { verb: "escalate", group: "rbac.authorization.k8s.io", resource: "roles", namespace },
    { as: "eva" },
  ),
  self("by selectors", {
    ...pods,
    verb: "list",
    fieldSelector: { requirements: [{ key: "spec.nodeName", operator: "In", values: ["a"] }] },
    labelSelector: { requirements: [{ key: "a", operator: "In", values: ["b", "c"] }] },
  }),
  self("by selectors in part", {
    ...pods,
    verb: "list",
    fieldSelector: {
      requirements: [
        { key: "spec.nodeName", operator: "In", values: ["a"] },
        { key: "x", operator: "In", values: ["a", "b"] },
      ],
    },
  }),
  self("by selectors of odd operators", {
    ...pods,
    verb: "list",
    labelSelector: {
      requirements: [
        { key: "a", operator: "Near", values: ["b"] },
        { key: "c", operator: "Exists" },
      ],
    },
  }),
  self("by empty selectors", { ...pods, fieldSelector: {}, labelSelector: {} }),
  self("by a selector without key", {
    ...pods,
    fieldSelector: { requirements: [{ key: "", operator: "In" }] },
    labelSelector: { requirements: [{ key: "a b", operator: "Exists", values: ["x"] }] },
  }),
  local("local", { user: "anna", resourceAttributes: pods }),
  local("local by group", { groups: ["system:masters"], resourceAttributes: { ...pods, verb: "delete" } }),
  local("local of no namespace", { user: "anna", resourceAttributes: { verb: "get", resource: "pods" } }),
  local("local of a path", { user: "anna", nonResourceAttributes: { path: "/x", verb: "get" } }),
  local("local of nobody", { resourceAttributes: pods }),
  local("local of nothing", { user: "anna" }),
  review("rules of anna", "SelfSubjectRulesReview", "selfsubjectrulesreviews", { namespace }, anna),
  review("rules of bert", "SelfSubjectRulesReview", "selfsubjectrulesreviews", { namespace }, { as: "bert" }),
  review("rules of anna elsewhere", "SelfSubjectRulesReview", "selfsubjectrulesreviews", { namespace: "nobody" }, anna),
  review(
    "a subject by anna",
    "SubjectAccessReview",
    "subjectaccessreviews",
    { user: "x", resourceAttributes: pods },
    anna,
  ),
  send("pods by anna", "GET", `/api/v1/namespaces/${namespace}/pods?labelSelector=none`, undefined, anna),
  send("a pod deleted by anna", "DELETE", `/api/v1/namespaces/${namespace}/pods/held-pod?dryRun=All`, undefined, anna),
  send("nodes by anna", "GET", "/api/v1/nodes", undefined, anna),
  send("a log by anna", "GET", `/api/v1/namespaces/${namespace}/pods/held-pod/log`, undefined, anna),
  send("a named map by anna", "GET", `/api/v1/namespaces/${namespace}/configmaps/one`, undefined, anna),
  send("a path by anna", "GET", "/metrics", undefined, anna),
  send("a group in her name", "GET", "/api/v1/nodes", undefined, { ...anna, groups: "system:masters" }),
];

export const accessGroups: readonly WireGroup[] = [
  { name: "access setting", inOrder: true, requests: setting },
  { name: "access escalation", requests: escalation },
  { name: "access aggregation", inOrder: true, requests: aggregation },
  { name: "access reviews", requests: reviews },
];
