/** Errors of every sort, as they are written: the order of fields and causes, the whole message, when to try again. */
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const own = "wire-errors";
const core = `/api/v1/namespaces/${own}`;
const apps = `/apis/apps/v1/namespaces/${own}`;
const types = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
};
const make = sender("error");
const send: typeof make = (...asked) => ({ ...make(...asked), isOrdered: true });

const named = (kind: string, apiVersion: string, name: string, more: Json = {}): Json => ({
  apiVersion,
  kind,
  metadata: { name },
  ...more,
});
const container = { name: "a", image: "a" };
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [container] } };
const deployment = (more: Json = {}): Json =>
  named("Deployment", "apps/v1", "held", { spec: { selector: { matchLabels: { app: "a" } }, template, ...more } });

const setting: readonly WireRequest[] = [
  ...ownNamespace(make, own),
  make("map", "POST", `${core}/configmaps`, named("ConfigMap", "v1", "held", { data: { a: "b" } })),
  make("fixed map", "POST", `${core}/configmaps`, named("ConfigMap", "v1", "fixed", { immutable: true })),
  make("pod", "POST", `${core}/pods`, {
    ...named("Pod", "v1", "held", { spec: template.spec }),
    metadata: { name: "held", labels: { app: "a" } },
  }),
  make("deployment", "POST", `${apps}/deployments`, deployment()),
  make("service", "POST", `${core}/services`, named("Service", "v1", "held", { spec: { ports: [{ port: 80 }] } })),
  make("budget", "POST", `/apis/policy/v1/namespaces/${own}/poddisruptionbudgets`, {
    ...named("PodDisruptionBudget", "policy/v1", "held"),
    spec: { minAvailable: 1, selector: { matchLabels: { app: "a" } } },
  }),
  make("quota", "POST", `${core}/resourcequotas`, {
    ...named("ResourceQuota", "v1", "held"),
    spec: { hard: { secrets: "0", "count/leases.coordination.k8s.io": "0", "requests.storage": "1Gi" } },
  }),
  make(
    "quota's status",
    "PATCH",
    `${core}/resourcequotas/held/status`,
    {
      status: {
        hard: { secrets: "0", "count/leases.coordination.k8s.io": "0" },
        used: { secrets: "0", "count/leases.coordination.k8s.io": "0" },
      },
    },
    types.merge,
  ),
];

/** Objects with several faults, whose causes come in some order. */
const faulty: readonly (readonly [string, Json])[] = [
  [`${core}/pods`, named("Pod", "v1", "Bad_Name", { spec: {} })],
  [
    `${core}/pods`,
    named("Pod", "v1", "many", {
      spec: {
        restartPolicy: "Perhaps",
        dnsPolicy: "Perhaps",
        hostNetwork: true,
        volumes: [{ name: "v" }, { name: "w", emptyDir: {}, hostPath: { path: "" } }, { name: "V V", secret: {} }],
        initContainers: [{ name: "a" }, { name: "a", image: "a", lifecycle: { preStop: {} } }],
        containers: [
          { name: "a", image: "", ports: [{ containerPort: 0 }, { containerPort: 70000, protocol: "X", hostPort: 1 }] },
          { name: "A_", image: "a", volumeMounts: [{ name: "none", mountPath: "" }], imagePullPolicy: "Maybe" },
          {
            name: "p",
            image: "a",
            resources: { limits: { cpu: "1" }, requests: { cpu: "2" } },
            env: [{ name: "" }, { name: "a", value: "b", valueFrom: { fieldRef: { fieldPath: "x" } } }],
            livenessProbe: { periodSeconds: -1 },
            readinessProbe: { httpGet: { port: "", path: "x" }, tcpSocket: { port: 0 }, timeoutSeconds: -1 },
          },
        ],
        tolerations: [{ operator: "Odd" }, { key: "a", operator: "Exists", value: "b" }],
        topologySpreadConstraints: [{ maxSkew: 0, topologyKey: "", whenUnsatisfiable: "No" }],
      },
    }),
  ],
  [
    `${core}/services`,
    named("Service", "v1", "many", {
      spec: {
        type: "Odd",
        clusterIP: "x",
        sessionAffinity: "Odd",
        externalIPs: ["x", "127.0.0.1"],
        ports: [{ port: 0 }, { port: 80, name: "a" }, { port: 80, name: "A", targetPort: "bad name", protocol: "X" }],
      },
    }),
  ],
  [`${core}/configmaps`, named("ConfigMap", "v1", "many", { data: { "a b": "" }, binaryData: { "a b": "AA==" } })],
  [`${core}/secrets`, named("Secret", "v1", "many", { type: "kubernetes.io/tls", data: { "a b": "AA==" } })],
  [
    `${core}/persistentvolumeclaims`,
    named("PersistentVolumeClaim", "v1", "many", { spec: { accessModes: ["X"], volumeMode: "Y" } }),
  ],
  [`${apps}/deployments`, deployment({ replicas: -1, minReadySeconds: -1, strategy: { type: "Odd" }, selector: {} })],
  [
    `${apps}/statefulsets`,
    named("StatefulSet", "apps/v1", "many", {
      spec: { replicas: -1, podManagementPolicy: "Odd", updateStrategy: { type: "Odd" }, selector: {}, template },
    }),
  ],
  [
    `/apis/batch/v1/namespaces/${own}/jobs`,
    named("Job", "batch/v1", "many", {
      spec: { parallelism: -1, completions: -1, backoffLimit: -1, completionMode: "Odd", template },
    }),
  ],
  [
    `/apis/batch/v1/namespaces/${own}/cronjobs`,
    named("CronJob", "batch/v1", "many", {
      spec: { schedule: "never", concurrencyPolicy: "Odd", timeZone: "Nowhere", jobTemplate: { spec: { template } } },
    }),
  ],
  [
    `/apis/networking.k8s.io/v1/namespaces/${own}/ingresses`,
    named("Ingress", "networking.k8s.io/v1", "many", {
      spec: {
        rules: [{ host: "*" }, { host: "1.2.3.4", http: { paths: [{ path: "x", backend: {} }] } }],
        tls: [{ hosts: ["a b"] }],
      },
    }),
  ],
  [
    `/apis/networking.k8s.io/v1/namespaces/${own}/networkpolicies`,
    named("NetworkPolicy", "networking.k8s.io/v1", "many", {
      spec: {
        podSelector: { matchLabels: { "a b": "c d" } },
        policyTypes: ["Odd"],
        ingress: [{ from: [{}], ports: [{ port: 0 }] }],
      },
    }),
  ],
  [
    `/apis/autoscaling/v2/namespaces/${own}/horizontalpodautoscalers`,
    named("HorizontalPodAutoscaler", "autoscaling/v2", "many", {
      spec: {
        minReplicas: -1,
        maxReplicas: 0,
        scaleTargetRef: { kind: "", name: "" },
        metrics: [{ type: "Resource" }],
      },
    }),
  ],
  [
    `/apis/rbac.authorization.k8s.io/v1/namespaces/${own}/roles`,
    named("Role", "rbac.authorization.k8s.io/v1", "many", { rules: [{}, { verbs: ["get"], nonResourceURLs: ["/x"] }] }),
  ],
  [
    `/apis/rbac.authorization.k8s.io/v1/namespaces/${own}/rolebindings`,
    named("RoleBinding", "rbac.authorization.k8s.io/v1", "many", {
      roleRef: { apiGroup: "x", kind: "Odd", name: "" },
      subjects: [
        { kind: "Odd", name: "" },
        { kind: "ServiceAccount", name: "A_" },
      ],
    }),
  ],
  [
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    named("CustomResourceDefinition", "apiextensions.k8s.io/v1", "odd", {
      spec: {
        group: "",
        scope: "Odd",
        names: {},
        versions: [{ name: "v1", served: true, storage: true }],
      },
    }),
  ],
  [
    "/apis/storage.k8s.io/v1/storageclasses",
    named("StorageClass", "storage.k8s.io/v1", "many", {
      provisioner: "",
      reclaimPolicy: "Odd",
      volumeBindingMode: "Odd",
    }),
  ],
  [
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    named("PriorityClass", "scheduling.k8s.io/v1", "system-x", { value: 2_000_000_001, preemptionPolicy: "Odd" }),
  ],
  [
    "/api/v1/nodes",
    named("Node", "v1", "many", { spec: { podCIDRs: ["x", "y", "z"], taints: [{ key: "", effect: "Odd" }] } }),
  ],
  [
    "/api/v1/persistentvolumes",
    named("PersistentVolume", "v1", "many", {
      spec: { capacity: { cpu: "1" }, accessModes: [], persistentVolumeReclaimPolicy: "Odd" },
    }),
  ],
];

const invalid = faulty.flatMap(([path, body]) => {
  const { kind } = body as { kind: string };
  const told = `${kind} ${(body["metadata"] as Json)["name"]}`;
  const apply = `${path}/${(body["metadata"] as Json)["name"]}?dryRun=All&fieldManager=a&force=true`;
  return [
    send(`invalid ${told}`, "POST", `${path}?dryRun=All`, body),
    send(`invalid ${told} applied`, "PATCH", apply, body, types.apply),
    send(`invalid ${told} strictly`, "POST", `${path}?dryRun=All&fieldValidation=Strict`, {
      ...body,
      x: 1,
      spec: { ...(body["spec"] as Json), y: 2 },
    }),
  ];
});

const changes: readonly (readonly [string, string, Json | readonly Json[], string])[] = [
  ["immutable map", `${core}/configmaps/fixed`, { data: { a: "b" }, immutable: false }, types.merge],
  [
    "pod's metadata",
    `${core}/pods/held`,
    { metadata: { name: "x", labels: { "a b": "c d" }, annotations: { "a b": "" }, finalizers: ["x y"], uid: "x" } },
    types.merge,
  ],
  [
    "service's address",
    `${core}/services/held`,
    { spec: { clusterIP: "10.43.9.9", ipFamilies: ["IPv6"] } },
    types.merge,
  ],
  [
    "deployment's selector",
    `${apps}/deployments/held`,
    { spec: { selector: { matchLabels: { app: "b" } }, replicas: -1 } },
    types.merge,
  ],
  ["scale", `${apps}/deployments/held/scale`, { spec: { replicas: -1 }, metadata: { name: "x" } }, types.merge],
  [
    "status",
    `${apps}/deployments/held/status`,
    { status: { replicas: -1, readyReplicas: -1, observedGeneration: -1 } },
    types.merge,
  ],
  ["test", `${core}/configmaps/held`, [{ op: "test", path: "/data/a", value: "c" }], types.json],
  ["no such path", `${core}/configmaps/held`, [{ op: "replace", path: "/data/x/y", value: "c" }], types.json],
  ["no such operation", `${core}/configmaps/held`, [{ op: "odd", path: "/data" }], types.json],
  ["wrong type", `${core}/configmaps/held`, { data: { a: 1 } }, types.strategic],
  ["old revision", `${core}/configmaps/held`, { metadata: { resourceVersion: "1" } }, types.merge],
  [
    "other apply",
    `${core}/configmaps/held?fieldManager=b`,
    named("ConfigMap", "v1", "held", { data: { a: "c", z: "d" } }),
    types.apply,
  ],
  ["nameless apply", `${core}/configmaps/held`, named("ConfigMap", "v1", "held"), types.apply],
  ["other name applied", `${core}/configmaps/held?fieldManager=b`, named("ConfigMap", "v1", "other"), types.apply],
  ["other kind applied", `${core}/configmaps/held?fieldManager=b`, named("Secret", "v1", "held"), types.apply],
  [
    "managed fields applied",
    `${core}/configmaps/held?fieldManager=b`,
    { ...named("ConfigMap", "v1", "held"), metadata: { name: "held", managedFields: [{ manager: "x" }] } },
    types.apply,
  ],
];
const changed = changes.map(([what, path, body, type]) => send(`change of ${what}`, "PATCH", path, body, type));

const asOthers = ["get", "post", "delete"].flatMap((verb) =>
  ["configmaps/held", "secrets", "pods/held/log", "pods/held/eviction", "serviceaccounts/default/token"].map(
    (path) => ({
      ...send(`nobody's ${verb} of ${path}`, verb.toUpperCase(), `${core}/${path}`, verb === "post" ? {} : undefined),
      headers: { "impersonate-user": "nobody", "content-type": "application/json" },
    }),
  ),
);

const other: readonly WireRequest[] = [
  send("none", "GET", `${core}/configmaps/nobody`),
  send("none of a group", "GET", `${apps}/deployments/nobody/scale`),
  send("no resource", "GET", `${core}/nothings/x`),
  send("no group", "GET", "/apis/nothing.example.com/v1/x"),
  send("no verb", "PUT", `${core}/configmaps`, {}),
  send("no subresource", "GET", `${core}/configmaps/held/scale`),
  send("twice", "POST", `${core}/configmaps`, named("ConfigMap", "v1", "held")),
  send("twice of a group", "POST", `${apps}/deployments`, deployment()),
  send("another namespace", "POST", `${core}/configmaps`, {
    ...named("ConfigMap", "v1", "x"),
    metadata: { name: "x", namespace: "y" },
  }),
  send("no namespace", "POST", "/api/v1/namespaces/nowhere/configmaps", named("ConfigMap", "v1", "x")),
  send("no name", "POST", `${core}/configmaps`, { apiVersion: "v1", kind: "ConfigMap" }),
  send("another kind", "POST", `${core}/configmaps`, named("Secret", "v1", "x")),
  send("no kind", "POST", `${core}/configmaps`, { metadata: { name: "x" }, kind: "", apiVersion: "v9" }),
  send("no JSON", "POST", `${core}/configmaps`, "{"),
  send("a list", "POST", `${core}/configmaps`, "[]"),
  send("nothing", "POST", `${core}/configmaps`, ""),
  send("a revision", "POST", `${core}/configmaps`, {
    ...named("ConfigMap", "v1", "x"),
    metadata: { name: "x", resourceVersion: "5" },
  }),
  send(
    "unknown fields",
    "POST",
    `${core}/configmaps?fieldValidation=Strict&dryRun=All`,
    named("ConfigMap", "v1", "x", { a: 1, b: { c: 2 } }),
  ),
  send("a quota", "POST", `${core}/secrets`, named("Secret", "v1", "x")),
  send(
    "a quota of a group",
    "POST",
    `/apis/coordination.k8s.io/v1/namespaces/${own}/leases`,
    named("Lease", "coordination.k8s.io/v1", "x"),
  ),
  send("an eviction", "POST", `${core}/pods/held/eviction`, named("Eviction", "policy/v1", "held")),
  send("an eviction of nobody", "POST", `${core}/pods/nobody/eviction`, named("Eviction", "policy/v1", "nobody")),
  send("an old page", "GET", `${core}/configmaps?limit=1&continue=abc`),
  send("an old revision", "GET", `${core}/configmaps?resourceVersion=x`),
  send(
    "options of a write",
    "POST",
    `${core}/configmaps?dryRun=Some&fieldValidation=Odd&fieldManager=${"x".repeat(129)}`,
    named("ConfigMap", "v1", "x"),
  ),
  send(
    "options of a patch",
    "PATCH",
    `${core}/configmaps/held?dryRun=Some&fieldValidation=Odd&force=true&fieldManager=%01`,
    {},
    types.merge,
  ),
  send(
    "options of a delete",
    "DELETE",
    `${core}/configmaps/held?dryRun=Some&propagationPolicy=Odd&gracePeriodSeconds=-1`,
  ),
  send("both policies", "DELETE", `${core}/configmaps/held?orphanDependents=true&propagationPolicy=Orphan`),
  send("preconditions", "DELETE", `${core}/configmaps/held`, {
    kind: "DeleteOptions",
    apiVersion: "v1",
    preconditions: { uid: "x", resourceVersion: "1" },
  }),
  send(
    "options of a list",
    "GET",
    `${core}/configmaps?resourceVersionMatch=Odd&sendInitialEvents=true&limit=-1&continue=x`,
  ),
  send(
    "options of a watch",
    "GET",
    `${core}/configmaps?watch=1&resourceVersionMatch=Odd&sendInitialEvents=true&limit=5&continue=x`,
  ),
  send("a bad label", "GET", `${core}/configmaps?labelSelector=a%20b`),
  send("a bad field", "GET", `${core}/configmaps?fieldSelector=a%3Db`),
  send("a log", "GET", `${core}/pods/held/log?tailLines=-1&limitBytes=0&sinceSeconds=0`),
  send("a token", "POST", `${core}/serviceaccounts/default/token`, {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    spec: { expirationSeconds: 1, audiences: [] },
  }),
  send("a protected namespace", "DELETE", "/api/v1/namespaces/kube-system?dryRun=All"),
  send(
    "a binding",
    "POST",
    `${core}/pods/held/binding?dryRun=All`,
    named("Binding", "v1", "held", { target: { kind: "Odd", name: "" } }),
  ),
  { ...send("no such type", "POST", `${core}/configmaps`, {}), headers: { "content-type": "text/x" } },
  { ...send("no such form", "GET", `${core}/configmaps/held`), headers: { accept: "text/x" } },
  {
    ...send("a table of an error", "GET", `${core}/configmaps/nobody`),
    headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
  },
];

export const errorGroups: readonly WireGroup[] = [
  { name: "errors: setting", inOrder: true, requests: setting },
  { name: "errors of objects", requests: invalid },
  { name: "errors of changes", requests: changed },
  { name: "errors of askings", inOrder: true, requests: [...other, ...asOthers] },
];
