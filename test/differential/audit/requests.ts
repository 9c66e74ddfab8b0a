import { furtherAsks } from "./further-requests.ts";
import { oddAsks } from "./odd-requests.ts";

/** Requests whose audit events by upstream are recorded. */
export interface AuditedAsk {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly type?: string;
}

const maps = "/api/v1/namespaces/audit/configmaps";
const map = (name: string, data: object = { a: "1" }) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});
const web = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "web" }] } },
  },
};
const reader = { "impersonate-user": "audit-reader", "impersonate-group": "some" };
const binding = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "RoleBinding",
  metadata: { name: "reads" },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reads" },
  subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "audit-reader" }],
};
const role = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "Role",
  metadata: { name: "reads" },
  rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get"] }],
};
const review = {
  apiVersion: "authorization.k8s.io/v1",
  kind: "SelfSubjectAccessReview",
  spec: { resourceAttributes: { verb: "get", resource: "pods" } },
};

export const asks: readonly AuditedAsk[] = [
  {
    method: "POST",
    path: "/api/v1/namespaces",
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name: "audit" } },
  },
  { method: "POST", path: maps, body: map("one") },
  { method: "POST", path: maps, body: map("one") },
  { method: "POST", path: maps, body: map("No Name") },
  { method: "POST", path: maps, body: { ...map("typed"), data: { a: 1 } } },
  { method: "POST", path: `${maps}?dryRun=All&fieldManager=me`, body: map("dry") },
  { method: "GET", path: `${maps}/one` },
  { method: "GET", path: `${maps}/none` },
  { method: "GET", path: `${maps}?limit=1` },
  { method: "GET", path: "/api/v1/configmaps" },
  { method: "PUT", path: `${maps}/one`, body: map("one", { a: "2" }) },
  { method: "PATCH", path: `${maps}/one`, type: "application/merge-patch+json", body: { data: { b: "1" } } },
  {
    method: "PATCH",
    path: `${maps}/one`,
    type: "application/json-patch+json",
    body: [{ op: "remove", path: "/data/b" }],
  },
  {
    method: "PATCH",
    path: `${maps}/applied?fieldManager=me`,
    type: "application/apply-patch+yaml",
    body: map("applied"),
  },
  { method: "POST", path: "/apis/apps/v1/namespaces/audit/deployments", body: web },
  { method: "GET", path: "/apis/apps/v1/namespaces/audit/deployments/web/scale" },
  { method: "GET", path: `${maps}?watch=true&resourceVersion=x` },
  {
    method: "POST",
    path: "/api/v1/namespaces/audit/secrets",
    body: { metadata: { name: "hidden" }, stringData: { a: "b" } },
  },
  { method: "GET", path: "/api/v1/namespaces/audit/secrets/hidden" },
  { method: "GET", path: `${maps}/one`, headers: reader },
  { method: "POST", path: "/apis/rbac.authorization.k8s.io/v1/namespaces/audit/roles", body: role },
  { method: "POST", path: "/apis/rbac.authorization.k8s.io/v1/namespaces/audit/rolebindings", body: binding },
  { method: "GET", path: `${maps}/one`, headers: reader },
  { method: "GET", path: "/api/v1/nodes", headers: reader },
  {
    method: "DELETE",
    path: `${maps}/one`,
    body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background" },
  },
  { method: "DELETE", path: `${maps}/applied` },
  { method: "DELETE", path: `${maps}/applied` },
  { method: "DELETE", path: `${maps}?labelSelector=none` },
  { method: "POST", path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body: review },
  { method: "GET", path: "/version" },
  {
    method: "GET",
    path: "/version?timeout=32s",
    headers: { "x-forwarded-for": "192.0.2.1, 192.0.2.2", "x-real-ip": "192.0.2.3" },
  },
  { method: "GET", path: "/apis" },
  { method: "GET", path: "/readyz" },
  { method: "GET", path: "/version", headers: { authorization: "Bearer nobody-has-this" } },
  { method: "GET", path: `${maps}?watch=true&timeoutSeconds=1` },
  { method: "GET", path: `${maps}/one/nothing` },
  { method: "GET", path: `${maps}?limit=x` },
  ...furtherAsks,
  ...oddAsks,
];

/** What changes from run to run, and who the tests themselves are. */
export function comparable(line: string): unknown {
  return JSON.parse(line, (key, value) => {
    if (/^(auditID|requestReceivedTimestamp|stageTimestamp|creationTimestamp|uid|resourceVersion)$/.test(key))
      return "*";
    if (key === "sourceIPs") return (value as string[]).filter((address) => address !== "127.0.0.1");
    if (key === "user") return "*";
    if (key === "deletionTimestamp") return "*";
    // Go writes nil lists as null, ours are empty.
    if (value === null || (Array.isArray(value) && value.length === 0 && key !== "sourceIPs")) return undefined;
    return value;
  });
}
