/** Server-side apply where it is not plain: versions, subresources, moves between managers, sets and maps with doubles, numbers. */
import { type Json, sender, type WireGroup, type WireRequest } from "./request.ts";
import { namespace } from "./world.ts";

const apply = "application/apply-patch+yaml";
const merge = "application/merge-patch+json";
const json = "application/json-patch+json";
const core = `/api/v1/namespaces/${namespace}`;
const apps = `/apis/apps/v1/namespaces/${namespace}`;

const send = sender("owning");
const applied = (what: string, path: string, manager: string, body: Json | string, more = ""): WireRequest =>
  send(what, "PATCH", `${path}?fieldManager=${manager}${more}`, body, apply);

const scaler = (version: "v1" | "v2", spec: Json): Json => ({
  apiVersion: `autoscaling/${version}`,
  kind: "HorizontalPodAutoscaler",
  metadata: { name: "owning" },
  spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "owning" }, maxReplicas: 5, ...spec },
});
const scalerAt = (version: "v1" | "v2"): string =>
  `/apis/autoscaling/${version}/namespaces/${namespace}/horizontalpodautoscalers/owning`;
const utilization = (averageUtilization: number): Json => ({
  metrics: [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization } } }],
});

/** One object by two versions of its kind. */
const versions: readonly WireRequest[] = [
  applied("v1 first", scalerAt("v1"), "old", scaler("v1", { targetCPUUtilizationPercentage: 50 })),
  applied("v2 beside", scalerAt("v2"), "new", scaler("v2", utilization(50))),
  applied("v2 in conflict", scalerAt("v2"), "new", scaler("v2", utilization(60))),
  applied("v2 by force", scalerAt("v2"), "new", scaler("v2", utilization(60)), "&force=true"),
  applied("v1 again", scalerAt("v1"), "old", scaler("v1", {})),
  applied("the old manager by v2", scalerAt("v2"), "old", scaler("v2", { minReplicas: 2 })),
  send("read as v1", "GET", scalerAt("v1")),
  send("patched by v1", "PATCH", `${scalerAt("v1")}?fieldManager=editor`, { spec: { maxReplicas: 7 } }, merge),
  applied("the wrong version in the body", scalerAt("v2"), "old", scaler("v1", {})),
];

const service = (ports: readonly Json[], more: Json = {}): Json => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "owning" },
  spec: { type: "ClusterIP", selector: { app: "owning" }, ports, ...more },
});
const serviceAt = `${core}/services/owning`;

/** A map of lists by two keys, one of which has a default. */
const keys: readonly WireRequest[] = [
  applied("ports made", serviceAt, "one", service([{ name: "a", port: 80 }])),
  applied("a protocol beside the default", serviceAt, "two", service([{ name: "b", port: 80, protocol: "UDP" }])),
  applied("the default said", serviceAt, "two", service([{ name: "a", port: 80, protocol: "TCP" }])),
  applied("a port twice", serviceAt, "one", service([{ port: 80 }, { port: 80, protocol: "TCP" }])),
  applied("a port in conflict", serviceAt, "two", service([{ name: "c", port: 80 }])),
  applied("a port taken away", serviceAt, "one", service([])),
  applied("ports null", serviceAt, "two", { ...service([]), spec: { ports: null } }),
];

const pod = (containers: readonly Json[], more: Json = {}): Json => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "owning" },
  spec: { containers, ...more },
});
const podAt = `${core}/pods/owning`;
const account = `${core}/serviceaccounts/owning`;

/** Whom fields go to as they are written in other ways: status, ephemeral containers, plain updates. */
const moves: readonly WireRequest[] = [
  applied("pod", podAt, "one", pod([{ name: "a", image: "a:1", env: [{ name: "A", value: "1" }] }])),
  send(
    "image by patch",
    "PATCH",
    `${podAt}?fieldManager=editor`,
    { spec: { containers: [{ name: "a", image: "a:2" }] } },
    "application/strategic-merge-patch+json",
  ),
  applied("image back", podAt, "one", pod([{ name: "a", image: "a:1", env: [{ name: "A", value: "1" }] }])),
  applied(
    "image back by force",
    podAt,
    "one",
    pod([{ name: "a", image: "a:1", env: [{ name: "A", value: "1" }] }]),
    "&force=true",
  ),
  applied("status through the object", podAt, "one", {
    ...pod([{ name: "a", image: "a:1" }]),
    status: { phase: "Running" },
  }),
  applied("status", `${podAt}/status`, "kubelet", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "owning", labels: { not: "here" } },
    spec: { containers: [{ name: "a", image: "a:9" }] },
    status: { conditions: [{ type: "Ready", status: "True" }], podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }] },
  }),
  applied("another condition", `${podAt}/status`, "other", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "owning" },
    status: {
      conditions: [
        { type: "Fine", status: "True" },
        { type: "Ready", status: "False" },
      ],
    },
  }),
  applied("a condition twice", `${podAt}/status`, "other", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "owning" },
    status: {
      conditions: [
        { type: "Fine", status: "True" },
        { type: "Fine", status: "False" },
      ],
    },
  }),
  send("managers forgotten", "PATCH", podAt, { metadata: { managedFields: [{}] } }, merge),
  applied("first apply afterwards", podAt, "one", pod([{ name: "a", image: "a:3" }])),
  applied("first apply afterwards by force", podAt, "one", pod([{ name: "a", image: "a:3" }]), "&force=true"),
  send("managers emptied", "PATCH", podAt, [{ op: "replace", path: "/metadata/managedFields", value: [] }], json),
  send(
    "managers renamed",
    "PATCH",
    podAt,
    [{ op: "replace", path: "/metadata/managedFields/0/manager", value: "x" }],
    json,
  ),
  send(
    "managers of bad fields",
    "PATCH",
    podAt,
    {
      metadata: {
        managedFields: [
          { manager: "x", operation: "Update", apiVersion: "v1", fieldsType: "FieldsV1", fieldsV1: { "f:spec": 1 } },
        ],
      },
    },
    merge,
  ),
  applied("account", account, "one", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "owning", finalizers: ["example.com/a"] },
    secrets: [{ name: "a" }],
    imagePullSecrets: [{ name: "p" }],
  }),
  applied("a finalizer beside", account, "two", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "owning", finalizers: ["example.com/b"] },
    secrets: [{ name: "b" }],
  }),
  applied("a finalizer twice", account, "two", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "owning", finalizers: ["example.com/b", "example.com/b"] },
  }),
  applied("finalizers given up", account, "one", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "owning" },
    secrets: [{ name: "b" }],
  }),
  applied("a secret without name", account, "two", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "owning" },
    secrets: [{ namespace: "x" }],
  }),
  send("a nameless secret by patch", "PATCH", account, { secrets: [{ namespace: "x" }] }, merge),
  applied(
    "an apply upon that",
    account,
    "two",
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "owning" }, secrets: [{ name: "c" }] },
    "&force=true",
  ),
  applied("an owner", account, "three", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "owning", ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "1" }] },
  }),
  applied("the owner by another", account, "two", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "owning", ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "q", uid: "1" }] },
  }),
];

const revisions = `${apps}/controllerrevisions`;
const revision = (data: string): string =>
  `{"apiVersion":"apps/v1","kind":"ControllerRevision","metadata":{"name":"owning"},"revision":9007199254740993,"data":${data}}`;

/** What JSON libraries lose, through apply and patches. */
const numbers: readonly WireRequest[] = [
  applied(
    "large numbers",
    `${revisions}/owning`,
    "one",
    revision('{"a":9007199254740993,"b":1.0,"__proto__":{"c":1e2}}'),
  ),
  applied(
    "large numbers again",
    `${revisions}/owning`,
    "two",
    revision('{"a":9007199254740993,"b":1.0,"__proto__":{"c":1e2}}'),
  ),
  applied("a number one less", `${revisions}/owning`, "two", revision('{"a":9007199254740992}')),
  send("a large number merged", "PATCH", `${revisions}/owning?dryRun=All`, '{"revision":9223372036854775807}', merge),
  send(
    "a number too large merged",
    "PATCH",
    `${revisions}/owning?dryRun=All`,
    '{"revision":9223372036854775808}',
    merge,
  ),
  send("a whole double merged", "PATCH", `${revisions}/owning?dryRun=All`, '{"revision":9007199254740993.0}', merge),
  send(
    "a large number tested",
    "PATCH",
    `${revisions}/owning?dryRun=All`,
    '[{"op":"test","path":"/revision","value":9007199254740992}]',
    json,
  ),
  send(
    "__proto__ merged",
    "PATCH",
    `${revisions}/owning?dryRun=All`,
    '{"metadata":{"annotations":{"__proto__":"a","constructor":"b"}}}',
    merge,
  ),
  send(
    "__proto__ by path",
    "PATCH",
    `${revisions}/owning?dryRun=All`,
    '[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/__proto__","value":"a"}]',
    json,
  ),
  applied(
    "__proto__ as a key",
    `${core}/configmaps/owning`,
    "one",
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"owning","labels":{"__proto__":"x"}},"data":{"constructor":"c"}}',
  ),
  applied(
    "a key twice",
    `${core}/configmaps/owning`,
    "one",
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"owning"},"data":{"a":"1","a":"2"}}',
  ),
  applied(
    "an integer as a double",
    `${apps}/deployments/owning-number`,
    "one",
    '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"owning-number"},"spec":{"replicas":1.0,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a"}]}}}}',
  ),
];

export const ownershipGroups: readonly WireGroup[] = [
  { name: "owning by versions", inOrder: true, requests: versions },
  { name: "owning by keys", inOrder: true, requests: keys },
  { name: "owning by moves", inOrder: true, requests: moves },
  { name: "owning numbers", inOrder: true, requests: numbers },
];
