/** Requests that hardly anybody sends, refused ones, and ones that annotate their events. */
import type { AuditedAsk } from "./requests.ts";

const core = "/api/v1/namespaces/audit";
const merge = "application/merge-patch+json";
const nobody = { authorization: "Bearer nobody-has-this" };
const powerless = { "impersonate-user": "powerless" };
const get = (path: string, headers?: AuditedAsk["headers"]): AuditedAsk => ({
  method: "GET",
  path,
  ...(headers && { headers }),
});

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"];
const targets = [
  core,
  `${core}/pods`,
  `${core}/pods/none`,
  `${core}/pods/none/log`,
  `${core}/pods/none/exec`,
  `${core}/pods/none/attach`,
  `${core}/pods/none/portforward`,
  `${core}/pods/none/eviction`,
  `${core}/pods/none/binding`,
  `${core}/pods/none/ephemeralcontainers`,
  `${core}/services/none/proxy/a/b`,
  `${core}/serviceaccounts/none/token`,
  "/version",
  "/version/odd",
  "/nothing",
];

const pod = (name: string, spec: object, more: object = {}): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, ...more },
  spec: { containers: [{ name: "a", image: "a", ...spec }] },
});

const labelled = (labels: object): AuditedAsk => ({
  method: "PATCH",
  path: core,
  type: merge,
  body: { metadata: { labels } },
});

const level = (mode: string, value: string | null) => ({ [`pod-security.kubernetes.io/${mode}`]: value });

const podSecurity: readonly AuditedAsk[] = [
  labelled({ ...level("enforce", "baseline"), ...level("audit", "restricted"), ...level("warn", "restricted") }),
  { method: "POST", path: `${core}/pods?dryRun=All`, body: pod("safe", {}) },
  { method: "POST", path: `${core}/pods?dryRun=All`, body: pod("unsafe", { securityContext: { privileged: true } }) },
  {
    method: "POST",
    path: "/apis/apps/v1/namespaces/audit/deployments?dryRun=All",
    body: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "unsafe" },
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: { containers: [{ name: "a", image: "a", securityContext: { privileged: true } }] },
        },
      },
    },
  },
  labelled({ ...level("enforce", "odd") }),
  labelled({ ...level("enforce", null), ...level("audit", null), ...level("warn", null) }),
];

const headers: readonly (readonly [string, string])[] = [
  ["x-forwarded-for", "192.0.2.1"],
  ["x-forwarded-for", "not an address, 192.0.2.1"],
  ["x-forwarded-for", "192.0.2.1:80, [2001:db8::1]:80, 2001:db8::2"],
  ["x-forwarded-for", "127.0.0.1"],
  ["x-forwarded-for", ","],
  ["x-real-ip", "not an address"],
  ["x-real-ip", "2001:db8::1"],
  ["audit-id", "of-a-client"],
  ["impersonate-user", ""],
  ["impersonate-uid", "1"],
  ["impersonate-extra-a", "b"],
  ["impersonate-user", "system:anonymous"],
  ["impersonate-user", "system:serviceaccount:audit:default"],
];

/** Upstream notes it when the answer has begun, ours before: a watch is not asked for. */
const deprecated: readonly AuditedAsk[] = [
  get("/api/v1/componentstatuses"),
  get(`${core}/endpoints`),
  {
    method: "POST",
    path: `${core}/endpoints?dryRun=All`,
    body: { apiVersion: "v1", kind: "Endpoints", metadata: { name: "a" } },
  },
];

export const oddAsks: readonly AuditedAsk[] = [
  ...targets.flatMap((path) =>
    methods
      .filter((method) => !(method === "POST" && path.endsWith("/token")))
      .map((method) => ({
        method,
        path,
        ...(/^(POST|PUT|PATCH)$/.test(method) && { body: { metadata: { name: "none" } } }),
        ...(method === "PATCH" && { type: merge }),
      })),
  ),
  ...targets.map((path) => get(path, nobody)),
  // Which of several roles allows what everybody may is a matter of their order.
  ...targets.filter((path) => path !== "/version").map((path) => get(path, powerless)),
  ...podSecurity,
  ...headers.map(([name, value]) => get(`${core}/configmaps?limit=1`, { [name]: value })),
  ...headers.map(([name, value]) => get("/version", { [name]: value })),
  ...deprecated,
  get(`${core}/configmaps?watch=true&timeoutSeconds=1`, powerless),
  get(`${core}/configmaps?watch=true&timeoutSeconds=1&resourceVersion=1`),
  get(`${core}/configmaps?fieldSelector=a%3Db`),
  get(`${core}/configmaps?labelSelector=%3D%3D`),
  get(`${core}/configmaps?timeout=odd`),
  get("/api/v1/namespaces/none/configmaps/none"),
  get("/apis/none.example.com/v1/nones"),
  get("/apis/apps/v9/deployments"),
  get("/api/v1/nodes/none/proxy/a"),
  get("/healthz/ping"),
  get("/metrics"),
];
