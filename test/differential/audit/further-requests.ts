/** Requests of further sorts whose audit events are compared: subresources, bodies of all forms, refused and impersonated ones. */
import type { AuditedAsk } from "./requests.ts";

const core = "/api/v1/namespaces/audit";
const apps = "/apis/apps/v1/namespaces/audit";
const scale = {
  apiVersion: "autoscaling/v1",
  kind: "Scale",
  metadata: { name: "web", namespace: "audit" },
  spec: { replicas: 2 },
};
const merge = "application/merge-patch+json";
const strategic = "application/strategic-merge-patch+json";
const apply = "application/apply-patch+yaml";
const status = { status: { conditions: [{ type: "Ready", status: "True" }] } };
const table = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
const partial = { accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io" };
const powerless = { "impersonate-user": "powerless" };

export const furtherAsks: readonly AuditedAsk[] = [
  // Subresources.
  { method: "PUT", path: `${apps}/deployments/web/scale`, body: scale },
  { method: "PATCH", path: `${apps}/deployments/web/scale`, type: merge, body: { spec: { replicas: 3 } } },
  { method: "PATCH", path: `${apps}/deployments/web/status`, type: merge, body: { status: { replicas: 1 } } },
  { method: "GET", path: `${apps}/deployments/web/status` },
  {
    method: "PUT",
    path: `${core}/finalize`,
    body: { metadata: { name: "audit" }, spec: { finalizers: ["kubernetes"] } },
  },
  // Forms of bodies and of answers.
  { method: "GET", path: `${core}/configmaps`, headers: table },
  { method: "GET", path: `${apps}/deployments/web`, headers: partial },
  { method: "GET", path: `${apps}/deployments/web`, headers: { accept: "application/yaml" } },
  { method: "GET", path: `${apps}/deployments/web`, headers: { accept: "text/odd" } },
  { method: "POST", path: `${core}/configmaps`, type: "text/odd", body: { metadata: { name: "odd" } } },
  { method: "POST", path: `${core}/configmaps`, body: [] },
  { method: "POST", path: `${core}/configmaps?fieldValidation=Strict`, body: { metadata: { name: "odd" }, odd: 1 } },
  { method: "PATCH", path: `${core}/configmaps/none`, type: merge, body: { data: { a: "1" } } },
  { method: "PATCH", path: `${apps}/deployments/web`, type: "application/odd", body: {} },
  { method: "PATCH", path: `${apps}/deployments/web?dryRun=All`, type: strategic, body: { spec: { paused: true } } },
  { method: "PATCH", path: `${apps}/deployments/web`, type: merge, body: { spec: { replicas: -1 } } },
  {
    method: "PATCH",
    path: `${apps}/deployments/web?fieldManager=me`,
    type: apply,
    body: { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" }, spec: { replicas: 7 } },
  },
  { method: "PUT", path: `${core}/configmaps/made-new`, body: { metadata: { name: "other" } } },
  { method: "PUT", path: `${core}/configmaps/made-new`, body: { metadata: { name: "made-new" } } },
  { method: "DELETE", path: `${apps}/deployments/web?dryRun=All&gracePeriodSeconds=3` },
  { method: "HEAD", path: `${core}/configmaps` },
  { method: "OPTIONS", path: `${core}/configmaps` },
  { method: "GET", path: `${core}/oddities` },
  { method: "GET", path: "/apis/odd.example.com/v1/namespaces/audit/oddities" },
  { method: "GET", path: "/api/v1/namespaces/audit" },
  { method: "GET", path: "/api/v1/watch/namespaces/audit/configmaps?timeoutSeconds=1" },
  // Impersonated and refused.
  { method: "GET", path: `${core}/pods`, headers: powerless },
  { method: "POST", path: `${core}/pods/alone/exec?command=true`, headers: powerless },
  { method: "DELETE", path: `${core}/pods`, headers: powerless },
  { method: "PATCH", path: `${core}/pods/alone/status`, type: merge, body: status, headers: powerless },
  { method: "GET", path: `${core}/services/far/proxy/a`, headers: powerless },
  { method: "GET", path: "/logs/odd", headers: powerless },
  {
    method: "GET",
    path: `${core}/pods?limit=1`,
    headers: {
      "impersonate-user": "system:serviceaccount:audit:default",
      "impersonate-uid": "1",
      "impersonate-extra-why%2fnot": "so",
    },
  },
  { method: "GET", path: `${core}/pods`, headers: { "impersonate-group": "system:masters" } },
  { method: "GET", path: `${core}/pods?limit=1`, headers: { ...powerless, "impersonate-group": "system:masters" } },
];
