/** Headers and options that writes of every sort come with: content types, kinds of patch, options of deletes, times. */
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { namespace } from "./world.ts";

const core = "/api/v1/namespaces/wire-headers";
const deployment = "/apis/apps/v1/namespaces/wire-headers/deployments/held";
const widgets = `/apis/example.com/v1/namespaces/${namespace}/widgets`;
const merge = "application/merge-patch+json";
const applyType = "application/apply-patch+yaml";

const ask = (
  what: string,
  method: string,
  path: string,
  body?: WireRequest["body"],
  headers?: Readonly<Record<string, string>>,
): WireRequest => ({
  name: `header ${what}: ${method} ${path}`,
  method,
  path,
  ...(body !== undefined && { body }),
  ...(headers && { headers }),
});
const named = (kind: string, apiVersion: string, name: string, more: Json = {}): Json => ({
  apiVersion,
  kind,
  metadata: { name },
  ...more,
});
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "a", image: "a" }] } };

const setting: readonly WireRequest[] = [
  ask("setting", "POST", "/api/v1/namespaces", named("Namespace", "v1", "wire-headers")),
  ask("setting", "POST", `${core}/serviceaccounts`, named("ServiceAccount", "v1", "default")),
  ask("setting", "POST", `${core}/configmaps`, named("ConfigMap", "v1", "held", { data: { a: "b" } })),
  ask("setting", "POST", `${core}/pods`, named("Pod", "v1", "held", { spec: template.spec })),
  ask("setting", "POST", `${core}/services`, named("Service", "v1", "held", { spec: { ports: [{ port: 80 }] } })),
  ask(
    "setting",
    "POST",
    "/apis/apps/v1/namespaces/wire-headers/deployments",
    named("Deployment", "apps/v1", "held", { spec: { selector: { matchLabels: { app: "a" } }, template } }),
  ),
];

const contentTypes = [
  "application/json;charset=utf-8",
  "application/json; charset=latin1",
  "application/json; charset",
  "application/json;",
  'application/json; a="b c"',
  "APPLICATION/JSON",
  "application/json,application/yaml",
  "text/json",
  "application/yaml;x=y",
  "text/yaml",
  "application/cbor",
  "application/*",
  "*/*",
  "application/",
  "json",
  "application/json/x",
  "application/vnd.kubernetes.protobuf;x=y",
  "multipart/form-data; boundary=a",
];
const scale = named("Scale", "autoscaling/v1", "held", { spec: { replicas: 1 } });
const review = {
  apiVersion: "authorization.k8s.io/v1",
  kind: "SelfSubjectAccessReview",
  spec: { nonResourceAttributes: { path: "/", verb: "get" } },
};
const bodies = contentTypes.flatMap((type) => {
  const write = (method: string, path: string, body: Json): WireRequest =>
    ask(`type ${type}`, method, path, body, { "content-type": type });
  return [
    write("POST", `${core}/configmaps?dryRun=All`, named("ConfigMap", "v1", "made")),
    write("PUT", `${core}/configmaps/held?dryRun=All`, named("ConfigMap", "v1", "held")),
    write("DELETE", `${core}/configmaps/held`, { kind: "DeleteOptions", apiVersion: "v1", dryRun: ["All"] }),
    write("DELETE", `${core}/configmaps`, { kind: "DeleteOptions", apiVersion: "v1", dryRun: ["All"] }),
    write("POST", `${core}/pods/held/eviction?dryRun=All`, named("Eviction", "policy/v1", "held")),
    write("PUT", `${deployment}/scale?dryRun=All`, scale),
    write("POST", `${widgets}?dryRun=All`, named("Widget", "example.com/v1", "made")),
    write("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review),
  ];
});

const patchTypes = [
  "application/json-patch+json",
  merge,
  "application/strategic-merge-patch+json",
  "application/apply-patch+cbor",
  "application/apply-patch+json",
  "application/json",
  "text/plain",
  `${merge};charset=utf-8`,
  "APPLICATION/MERGE-PATCH+JSON",
  `${merge}, application/json`,
  `application/json, ${merge}`,
];
const patched: readonly (readonly [string, Json])[] = [
  [deployment, { metadata: { labels: { a: "b" } } }],
  [`${deployment}/status`, { status: { replicas: 3 } }],
  [`${deployment}/scale`, { spec: { replicas: 3 } }],
  [`${core}/pods/held/ephemeralcontainers`, { spec: { ephemeralContainers: [{ name: "d", image: "a" }] } }],
  [`${core}/pods/held/resize`, { spec: {} }],
  [`${widgets}/nobody`, { spec: { a: 1 } }],
  [`${core}/pods/held/eviction`, {}],
  [`${core}/serviceaccounts/default/token`, {}],
];
const patches = patchTypes.flatMap((type) =>
  patched.flatMap(([path, patch]) => {
    const isJsonPatch = type.startsWith("application/json-patch");
    const body = isJsonPatch ? [{ op: "test", path: "/kind", value: "Other" }] : patch;
    return ["", "&force=true", "&dryRun=Some"].map((more) =>
      ask(`patch type ${type}`, "PATCH", `${path}?dryRun=All${more}`, body, { "content-type": type }),
    );
  }),
);

const impersonated = [
  { "impersonate-uid": "x" },
  { "impersonate-extra-a": "b" },
  { "impersonate-group": "g", "impersonate-uid": "x" },
].map((headers) => ask(JSON.stringify(headers), "GET", `${core}/configmaps/held`, undefined, headers));

const timeouts = ["x", "5", "1d", "1h5", "", "0", "1s", "-1s", "1.5h", "1h-5m"].flatMap((timeout) => [
  ask("time", "GET", `${core}/configmaps/held?timeout=${timeout}`),
  ask("time", "GET", `${core}/configmaps/nobody?timeout=${timeout}`),
  ask("time", "POST", `${core}/configmaps?dryRun=All&timeout=${timeout}`, named("ConfigMap", "v1", "made")),
  ask("time", "GET", `${core}/configmaps?watch=1&timeoutSeconds=1&timeout=${timeout}`),
  ask("time", "GET", `/apis/apps?timeout=${timeout}`),
  ask("time", "GET", `/healthz/ping?timeout=${timeout}`),
]);

const deleteBodies: readonly Json[] = [
  { preconditions: { uid: "x" } },
  { preconditions: { resourceVersion: "1" } },
  { preconditions: { uid: "" } },
  { preconditions: { resourceVersion: "" } },
  { preconditions: {} },
  { preconditions: [] },
  { preconditions: "x" },
  { gracePeriodSeconds: "x" },
  { gracePeriodSeconds: -1 },
  { propagationPolicy: 1 },
  { orphanDependents: "x" },
  { dryRun: "All" },
  { dryRun: ["x"] },
  { kind: "Foo", dryRun: ["All"] },
  { apiVersion: "apps/v1", dryRun: ["All"] },
  { apiVersion: "meta.k8s.io/v1", dryRun: ["All"] },
  { unknown: 1, dryRun: ["All"] },
].map((body) => ({ kind: "DeleteOptions", apiVersion: "v1", dryRun: ["All"], ...body }));
const deletes = deleteBodies.flatMap((body) =>
  ["configmaps/held", "pods/held", "configmaps", "services/held"].map((path) =>
    ask(`delete ${JSON.stringify(body)}`, "DELETE", `${core}/${path}`, body),
  ),
);

const kinds: Readonly<Record<string, string>> = { configmaps: "ConfigMap", pods: "Pod", services: "Service" };
const identities: readonly Json[] = [
  { uid: "x" },
  { uid: null },
  { resourceVersion: "1" },
  { resourceVersion: "0" },
  { resourceVersion: "x" },
  { resourceVersion: null },
  { namespace: "other" },
  { generation: 99 },
  { creationTimestamp: "2020-01-01T00:00:00Z" },
  { deletionTimestamp: "2020-01-01T00:00:00Z" },
  { selfLink: "/x" },
  { managedFields: [] },
  { managedFields: null },
  { generateName: "x-" },
];
const identified = identities.flatMap((metadata) =>
  Object.entries(kinds).flatMap(([plural, kind]) => {
    const path = `${core}/${plural}/held?dryRun=All`;
    const what = `identity ${JSON.stringify(metadata)}`;
    const applied = { apiVersion: "v1", kind, metadata: { name: "held", ...metadata } };
    return [
      ask(what, "PATCH", path, { metadata }, { "content-type": merge }),
      ask(what, "PUT", path, (live) => ({ ...live, metadata: { ...(live["metadata"] as Json), ...metadata } })),
      ask(what, "PATCH", `${path}&fieldManager=z&force=true`, applied, { "content-type": applyType }),
    ];
  }),
);

export const headerGroups: readonly WireGroup[] = [
  { name: "headers: setting", inOrder: true, requests: setting },
  { name: "headers: content types", requests: bodies },
  { name: "headers: patches", requests: patches },
  { name: "headers: impersonation and times", requests: [...impersonated, ...timeouts] },
  { name: "headers: deletes", requests: deletes },
  { name: "headers: identities", requests: identified },
];
