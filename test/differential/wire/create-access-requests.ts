/** What is told of an object that an apply or an update would make, to somebody who may write such objects but make none. */
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const own = "wire-create-access";
const core = `/api/v1/namespaces/${own}`;
const rbac = "/apis/rbac.authorization.k8s.io/v1";
const apply = "application/apply-patch+yaml";
const merge = "application/merge-patch+json";
const writer = "create-access-writer";

const send = sender("create access:");
const byWriter = (request: WireRequest): WireRequest => ({
  ...request,
  headers: { ...request.headers, "impersonate-user": writer },
});

const setting: readonly WireRequest[] = [
  ...ownNamespace(send, own),
  send("role", "POST", `${rbac}/clusterroles`, {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: writer },
    rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["get", "update", "patch"] }],
  }),
  send("binding", "POST", `${rbac}/clusterrolebindings`, {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: writer },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: writer },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: writer }],
  }),
  // No more config maps, and no pod without a request.
  send("quota", "POST", `${core}/resourcequotas`, {
    apiVersion: "v1",
    kind: "ResourceQuota",
    metadata: { name: "none" },
    spec: { hard: { "count/configmaps": "0", "requests.cpu": "1" } },
  }),
];

const madeByOthers = send("a role that is there", "POST", `${rbac}/namespaces/${own}/roles`, {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "Role",
  metadata: { name: "kept" },
  rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["delete"] }],
});

const map = (fields: Json): Json => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "new" }, ...fields });
const pod = (spec: Json): Json => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "new" },
  spec: { containers: [{ name: "main", image: "web:1" }], ...spec },
});
const maps: readonly (readonly [what: string, name: string, body: Json | string])[] = [
  ["in order", "new", map({ data: { a: "b" } })],
  ["an unknown field", "new", map({ odd: 1 })],
  ["a value of another type", "new", map({ data: "x" })],
  ["a key that cannot be", "new", map({ data: { "a b": "c" } })],
  ["a name that cannot be", "New_", map({ metadata: { name: "New_" } })],
  ["another name", "new", map({ metadata: { name: "other" } })],
  ["another namespace", "new", map({ metadata: { name: "new", namespace: "other" } })],
  ["a uid", "new", map({ metadata: { name: "new", uid: "x" } })],
  ["a revision", "new", map({ metadata: { name: "new", resourceVersion: "5" } })],
  ["a revision that is no number", "new", map({ metadata: { name: "new", resourceVersion: "x" } })],
  ["another kind", "new", { ...map({}), kind: "Secret" }],
  ["a list", "new", "[]"],
  ["a text", "new", '"x"'],
  ["a number", "new", "5"],
  ["a truth", "new", "true"],
  ["null", "new", "null"],
  ["nothing", "new", ""],
];
const pods: readonly (readonly [what: string, spec: Json])[] = [
  ["in order", {}],
  ["no containers", { containers: [] }],
  ["an account that is not there", { serviceAccountName: "nobody" }],
  ["a priority class that is not there", { priorityClassName: "nothing" }],
  ["a runtime class that is not there", { runtimeClassName: "nothing" }],
];

const applied: readonly WireRequest[] = [
  ...maps.flatMap(([what, name, body]) =>
    ["fieldManager=a", "fieldManager=a&dryRun=All", "fieldManager=a&fieldValidation=Strict"].map((query) =>
      byWriter(send(`an applied map: ${what} ${query}`, "PATCH", `${core}/configmaps/${name}?${query}`, body, apply)),
    ),
  ),
  ...pods.map(([what, spec]) =>
    byWriter(send(`an applied pod: ${what}`, "PATCH", `${core}/pods/new?fieldManager=a`, pod(spec), apply)),
  ),
  byWriter(
    send(
      "an applied map where no namespace is",
      "PATCH",
      "/api/v1/namespaces/wire-nowhere/configmaps/new?fieldManager=a",
      map({}),
      apply,
    ),
  ),
  byWriter(send("an applied status", "PATCH", `${core}/pods/new/status?fieldManager=a`, pod({}), apply)),
];

const lease = (metadata: Json, spec: Json = {}): Json => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { name: "new", ...metadata },
  spec,
});
const leases: readonly (readonly [what: string, body: Json])[] = [
  ["in order", lease({})],
  ["a duration that cannot be", lease({}, { leaseDurationSeconds: 0 })],
  ["an unknown field", lease({}, { odd: 1 })],
  ["a uid", lease({ uid: "x" })],
  ["a uid and a duration that cannot be", lease({ uid: "x" }, { leaseDurationSeconds: 0 })],
  ["a revision", lease({ resourceVersion: "5" })],
];
const put: readonly WireRequest[] = [
  ...leases.map(([what, body]) =>
    byWriter(
      send(
        `a put lease: ${what}`,
        "PUT",
        `/apis/coordination.k8s.io/v1/namespaces/${own}/leases/new?fieldValidation=Strict`,
        body,
      ),
    ),
  ),
  byWriter(
    send(
      "a put lease where no namespace is",
      "PUT",
      "/apis/coordination.k8s.io/v1/namespaces/wire-nowhere/leases/new",
      lease({}),
    ),
  ),
  byWriter(send("a put map", "PUT", `${core}/configmaps/new`, map({ data: { "a b": "c" } }))),
];

const rule = (...verbs: string[]): Json => ({ apiGroups: [""], resources: ["pods"], verbs });
const role = (name: string, rules: readonly Json[], metadata: Json = {}): Json => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "Role",
  metadata: { name, ...metadata },
  rules,
});
const roles = `${rbac}/namespaces/${own}/roles`;
const rules: Readonly<Record<string, readonly Json[]>> = {
  "what is held": [rule("get")],
  "what is not held": [rule("delete")],
  nothing: [rule()],
  "what is not held and nothing": [rule("delete"), rule()],
};
const granted: readonly WireRequest[] = [
  ...Object.entries(rules).flatMap(([what, of]) =>
    [
      send(`a put role of ${what}`, "PUT", `${roles}/new`, role("new", of)),
      send(`an applied role of ${what}`, "PATCH", `${roles}/new?fieldManager=a`, role("new", of), apply),
      send(`a role becomes one of ${what}`, "PUT", `${roles}/kept?dryRun=All`, role("kept", of)),
    ].map(byWriter),
  ),
  ...[
    send("a role as it is", "PUT", `${roles}/kept?dryRun=All`, role("kept", [rule("delete")])),
    send("a role with a finalizer", "PATCH", `${roles}/kept?dryRun=All`, { metadata: { finalizers: ["a/b"] } }, merge),
    send("a role with a label", "PATCH", `${roles}/kept?dryRun=All`, { metadata: { labels: { a: "b" } } }, merge),
    send(
      "a role with a finalizer of none",
      "PATCH",
      `${roles}/kept?dryRun=All`,
      { metadata: { finalizers: ["-"] } },
      merge,
    ),
  ].map(byWriter),
];

export const createAccessGroups: readonly WireGroup[] = [
  { name: "rights to create: their setting", inOrder: true, requests: [...setting, madeByOthers] },
  { name: "rights to create", requests: [...applied, ...put, ...granted] },
];
